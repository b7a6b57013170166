import { and, eq, sql } from 'drizzle-orm';
import type { Queryable } from '../db/database.ts';
import { prepared } from '../db/prepared.ts';
import { sessions, users } from '../db/schema.ts';
import { databaseTimePlus, millisecondsFromNow } from '../db/time.ts';
import { type Origin, originColumns, recordEvents } from '../identity/events.ts';
import { endSessionsById, findLiveSession, isLiveOfItsUser, type LiveSession } from '../identity/sessions.ts';
import { Problem } from '../problems/problem.ts';
import type { Services } from '../services.ts';
import type { RefreshTokenContent } from '../tokens/refresh-token.ts';
import { idleLimit } from './lifetimes.ts';

type Needs = Pick<Services, 'clientDigests' | 'clock' | 'config' | 'db' | 'refreshTokens' | 'revocations'>;

/**
 * Within this, the token before the newest is taken for a client that refreshed twice at once, not for a thief. Measured
 * by the database: the instance that it comes to the second time may have another clock.
 */
const graceSeconds = 10;

/** Nor is a time ahead recent: it is from before the database's clock was put back. */
const lockedSession = prepared('locked_session', ['id', 'offset', 'grace'], (db, { id, offset, grace }) =>
  db
    .select({
      isRecent: sql<boolean | null>`abs(extract(epoch from ${sessions.rotatedAt} - (${databaseTimePlus(offset)}))) < ${grace}::float8`,
    })
    .from(sessions)
    .where(eq(sessions.id, id))
    .for('update'),
);
const rotation = ['id', 'counter', 'clients', 'client', 'now', 'offset', 'limit', 'forgottenLimit', 'ip', 'userAgent'] as const;
const rotatedSession = prepared('rotated_session', rotation, (db, { id, counter, clients, now, offset, ...values }) => {
  const isBoundTo = sql`(${clients}::text[] is null or ${sessions.client} = any(${clients}::text[]))`;
  const limit = sql`case when ${sessions.rememberMe} then ${values.limit}::timestamptz else ${values.forgottenLimit}::timestamptz end`;
  return db
    .update(sessions)
    .set({
      refreshCounter: sql`${sessions.refreshCounter} + 1`,
      rotatedAt: databaseTimePlus(offset),
      lastUsedAt: sql`${now}`,
      idleExpiresAt: sql`least(${sessions.expiresAt}, ${limit})`,
      client: sql`${values.client}`,
      ip: sql`${values.ip}`,
      userAgent: sql`${values.userAgent}`,
    })
    .from(users)
    .where(and(isLiveOfItsUser(id, now), eq(sessions.refreshCounter, counter), isBoundTo))
    .returning();
});

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
  const presented = services.refreshTokens.read(token);
  if (presented === undefined) throw new Problem('invalid_refresh_token');
  const refresh = { presented, origin, now: services.clock.now() };
  return (await rotate(services, services.db, refresh)) ?? (await reconsider(services, refresh));
}

interface Refresh {
  readonly presented: RefreshTokenContent;
  readonly origin: Origin;
  /** When it came. */
  readonly now: Date;
}

/** The session with its successor, where there is nothing the matter with the token: in one statement, which has all conditions in it. */
async function rotate(
  { clientDigests, clock, config }: Needs,
  db: Queryable,
  { presented, origin, now }: Refresh,
): Promise<LiveSession | undefined> {
  const { ip, userAgent } = origin;
  const [row] = await rotatedSession(db, {
    id: presented.sessionId,
    counter: presented.counter,
    clients: config.sessions.protection === 'strong' ? clientDigests.all(ip, userAgent) : null,
    client: clientDigests.of(ip, userAgent),
    now,
    offset: millisecondsFromNow(clock),
    limit: idleLimit(true, now),
    forgottenLimit: idleLimit(false, now),
    ...originColumns(origin),
  });
  if (row === undefined) return undefined;
  const { users: user, ...session } = row;
  return { session, user };
}

/**
 * Why a token could not be traded. Somebody else has just done it: then this one gets the same successor. Or it is spent, or in the
 * wrong hands: then its session ends, if it has not yet.
 */
async function reconsider(services: Needs, refresh: Refresh): Promise<LiveSession> {
  const { clientDigests, clock, config, db, revocations } = services;
  const { presented, origin, now } = refresh;
  const { sessionId, counter } = presented;
  const outcome = await db.transaction(async (tx): Promise<LiveSession | readonly string[]> => {
    // It is not the client's fault if it had to wait until now.
    const waitedSeconds = Math.max(0, clock.now().getTime() - now.getTime()) / 1000;
    const grace = graceSeconds + waitedSeconds;
    const [locked] = await lockedSession(tx, { id: sessionId, offset: millisecondsFromNow(clock), grace });
    // What stood in the way may have gone by now, when nobody can come in between any longer.
    const rotated = await rotate(services, tx, refresh);
    if (rotated !== undefined) return rotated;
    const live = await findLiveSession(tx, sessionId, now);
    if (live === undefined) return [];
    const { client, refreshCounter, userId } = live.session;
    const isStranger = config.sessions.protection === 'strong' && !clientDigests.match(client, origin.ip, origin.userAgent);
    const isTwin = counter === refreshCounter - 1 && locked?.isRecent === true;
    if (isTwin && !isStranger) return live;
    const isReused = counter !== refreshCounter && !isTwin;
    await recordEvents(tx, userId, isReused ? ['refresh_reused', 'session_ended'] : ['session_ended'], origin, clock);
    return endSessionsById(tx, userId, [sessionId], clock);
  });
  if ('session' in outcome) return outcome;
  revocations.note(outcome);
  throw new Problem('invalid_refresh_token');
}
