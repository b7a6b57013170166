import { eq } from 'drizzle-orm';
import type { Queryable } from '../db/database.ts';
import { sessions } from '../db/schema.ts';
import { type Origin, originColumns, recordEvents } from '../identity/events.ts';
import { endSessionsById, findLiveSession, type LiveSession } from '../identity/sessions.ts';
import { Problem } from '../problems/problem.ts';
import type { Services } from '../services.ts';
import { idleEnd } from './lifetimes.ts';

type Needs = Pick<Services, 'clientDigest' | 'clock' | 'config' | 'db' | 'refreshTokens' | 'revocations'>;

/** Within this, the token before the newest is taken for a client that refreshed twice at once, not for a thief. */
const graceMs = 10_000;

type Outcome = { readonly live: LiveSession } | { readonly ended: readonly string[] };

/**
 * Trades a refresh token for its successor, keeps the session from growing idle, and binds it to the client as it is now.
 *
 * All who come with the same token within 10 s get the same successor. Whoever comes with an older one shows that
 * the token is in two hands: the session ends for both, and that is recorded (RFC 9700 §4.14.2). Under `strong`
 * protection the session also ends when another client comes with it.
 *
 * @throws Problem `invalid_refresh_token` when the token is forged, spent, or its session is over
 */
export async function refreshSession(services: Needs, token: string, origin: Origin): Promise<LiveSession> {
  const { clientDigest, clock, config, db, refreshTokens, revocations } = services;
  const presented = refreshTokens.read(token);
  if (presented === undefined) throw new Problem('invalid_refresh_token');
  const client = clientDigest(origin.ip, origin.userAgent);
  const now = clock.now();

  const outcome = await db.transaction(async (tx): Promise<Outcome> => {
    await tx.select({ id: sessions.id }).from(sessions).where(eq(sessions.id, presented.sessionId)).for('update');
    const live = await findLiveSession(tx, presented.sessionId, now);
    if (live === undefined) return { ended: [] };
    const { id, userId, refreshCounter, rotatedAt } = live.session;
    const isStranger = config.sessions.protection === 'strong' && client !== live.session.client;
    const isNewest = presented.counter === refreshCounter;
    const isTwin = presented.counter === refreshCounter - 1 && rotatedAt !== null && now.getTime() - rotatedAt.getTime() < graceMs;
    if (isNewest && !isStranger) return { live: await rotate(tx, live, { client, now, origin }) };
    if (isTwin && !isStranger) return { live };
    const isReused = !isNewest && !isTwin;
    await recordEvents(tx, userId, isReused ? ['refresh_reused', 'session_ended'] : ['session_ended'], origin, clock);
    return { ended: await endSessionsById(tx, userId, [id], clock) };
  });
  if ('live' in outcome) return outcome.live;
  revocations.note(outcome.ended);
  throw new Problem('invalid_refresh_token');
}

interface Rotation {
  readonly client: string;
  readonly now: Date;
  readonly origin: Origin;
}

async function rotate(tx: Queryable, { session, user }: LiveSession, { client, now, origin }: Rotation): Promise<LiveSession> {
  const changes = {
    refreshCounter: session.refreshCounter + 1,
    rotatedAt: now,
    lastUsedAt: now,
    idleExpiresAt: idleEnd(session, now),
    client,
    ...originColumns(origin),
  };
  await tx.update(sessions).set(changes).where(eq(sessions.id, session.id));
  return { session: { ...session, ...changes }, user };
}
