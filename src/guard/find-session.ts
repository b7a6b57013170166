import type { FastifyRequest } from 'fastify';
import type { Clock } from '../clock.ts';
import type { SessionProtection } from '../config.ts';
import type { Queryable } from '../db/database.ts';
import { originOf } from '../http/origin.ts';
import type { Origin } from '../identity/events.ts';
import { endSessionsById, findLiveSession, type LiveSession } from '../identity/sessions.ts';
import { type AccessClaims, type AccessTokens, clientOf } from '../tokens/access-token.ts';
import type { ClientDigests } from './client-digest.ts';
import type { CrossOriginCheck, FormTrust } from './cross-origin.ts';
import { endSessionsAs } from './log-out.ts';
import { presentedToken } from './presented-token.ts';
import type { RevocationFeed } from './revocation-feed.ts';
import { shareLookups } from './shared-lookups.ts';

/** A live session, and what is known of its user without asking for more. */
export interface FoundSession {
  readonly id: string;
  readonly userId: string;
  readonly username: string;
  readonly email: string;
  readonly role: string;
  readonly confirmed: boolean;
}

/** What a session is found by. */
export type SessionRequest = Pick<FastifyRequest, 'headers' | 'ip' | 'method' | 'raw'>;

/** What the database says of a live session, as the guard hands it out. */
export function foundSession({ session, user }: LiveSession): FoundSession {
  const { id: userId, username, email, role, confirmedAt } = user;
  return { id: session.id, userId, username, email, role, confirmed: confirmedAt !== null };
}

export interface SessionFinderOptions {
  readonly db: Queryable;
  readonly clock: Clock;
  readonly accessTokens: AccessTokens;
  readonly revocations: RevocationFeed;
  readonly clientDigests: ClientDigests;
  readonly checkOrigin: CrossOriginCheck;
  readonly protection: SessionProtection;
  readonly accessCookie: string;
}

/**
 * Creates the function that finds the live session of a request.
 *
 * A confirmed user's token is believed without a query: `confirmed` never becomes false again for the address in it,
 * and the feed knows of sessions that were ended. An unconfirmed one is looked up, so that a session from before the
 * confirmation passes right after it; and so is every one while the feed is stale.
 */
export function createSessionFinder(options: SessionFinderOptions) {
  const { db, clock, accessTokens, revocations, clientDigests, checkOrigin, protection, accessCookie } = options;

  const findLive = shareLookups((sid) => findLiveSession(db, sid, clock.now()));

  async function lookUp({ sid, sub }: AccessClaims): Promise<FoundSession | null> {
    const live = await findLive(sid);
    return live?.user.id === sub ? foundSession(live) : null;
  }

  /** The token has come from another place than it was given to: `basic` makes the client refresh it, `strong` ends the session. */
  async function refuseStranger({ sid, sub }: AccessClaims, origin: Origin): Promise<null> {
    if (protection !== 'strong') return null;
    await endSessionsAs(options, sub, 'session_ended', origin, (tx) => endSessionsById(tx, sub, [sid], clock));
    return null;
  }

  function judge(claims: AccessClaims, request: SessionRequest): FoundSession | null | Promise<FoundSession | null> {
    if (revocations.isRevoked(claims.sid)) return null;
    const isStranger = protection !== 'none' && !clientDigests.match(clientOf(claims), request.ip, request.headers['user-agent']);
    if (isStranger) return refuseStranger(claims, originOf(request));
    if (!claims.confirmed || revocations.isStale()) return lookUp(claims);
    const { sid, sub, username, email, role } = claims;
    return { id: sid, userId: sub, username, email, role, confirmed: true };
  }

  async function learn(token: string, request: SessionRequest): Promise<FoundSession | null> {
    const claims = (await accessTokens.learnKey(token)) ? accessTokens.verify(token) : undefined;
    return claims === undefined ? null : judge(claims, request);
  }

  return function findSession(request: SessionRequest, trust?: FormTrust): FoundSession | null | Promise<FoundSession | null> {
    const presented = presentedToken(request, accessCookie);
    if (presented === undefined) return null;
    if (presented.by === 'cookie') checkOrigin(request, trust);
    const claims = accessTokens.verify(presented.token);
    return claims === undefined ? learn(presented.token, request) : judge(claims, request);
  };
}
