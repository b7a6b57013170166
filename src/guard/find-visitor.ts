import type { FastifyRequest } from 'fastify';
import type { Clock } from '../clock.ts';
import type { SessionProtection } from '../config.ts';
import type { Queryable } from '../db/database.ts';
import { findLiveSession } from '../identity/sessions.ts';
import type { RefreshTokens } from '../tokens/refresh-token.ts';
import type { ClientDigests } from './client-digest.ts';
import type { CrossOriginCheck, FormTrust } from './cross-origin.ts';
import { type FoundSession, foundSession } from './find-session.ts';
import type { Guard } from './plugin.ts';
import { readCookie } from './presented-token.ts';

interface VisitorFinderOptions {
  readonly guard: Guard;
  readonly db: Queryable;
  readonly clock: Clock;
  readonly refreshTokens: RefreshTokens;
  readonly refreshCookie: string;
  readonly checkOrigin: CrossOriginCheck;
  readonly clientDigests: ClientDigests;
  readonly protection: SessionProtection;
}

/**
 * Creates the function that finds the session of a browser in which somebody has followed a link.
 *
 * There the access token has often run out, and no script is at hand to refresh it; so the newest refresh token shows
 * as well whose browser it is. It is not used up, and no cookie is set.
 */
export function createVisitorFinder(options: VisitorFinderOptions) {
  const { guard, db, clock, refreshTokens, refreshCookie, checkOrigin, clientDigests, protection } = options;

  /** @throws Problem `ambiguous_credentials` or `cross_origin_rejected` */
  return async function findVisitor(request: FastifyRequest, trust?: FormTrust): Promise<FoundSession | null> {
    const found = await guard.findSession(request, trust);
    const { authorization, cookie } = request.headers;
    if (found !== null || authorization !== undefined || cookie === undefined) return found;
    const token = readCookie(cookie, refreshCookie);
    const content = token === undefined ? undefined : refreshTokens.read(token);
    if (content === undefined) return null;
    checkOrigin(request, trust);
    const live = await findLiveSession(db, content.sessionId, clock.now());
    if (live?.session.refreshCounter !== content.counter) return null;
    const isStranger = !clientDigests.match(live.session.client, request.ip, request.headers['user-agent']);
    return protection === 'strong' && isStranger ? null : foundSession(live);
  };
}
