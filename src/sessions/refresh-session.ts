import { eq, sql } from 'drizzle-orm';
import type { Clock } from '../clock.ts';
import type { Queryable } from '../db/database.ts';
import { prepared } from '../db/prepared.ts';
import { sessions } from '../db/schema.ts';
import { databaseTimePlus, millisecondsFromNow } from '../db/time.ts';
import { type Origin, originColumns, recordEvents } from '../identity/events.ts';
import { endSessionsById, findLiveSession, type LiveSession, type SessionRow } from '../identity/sessions.ts';
import { Problem } from '../problems/problem.ts';
import type { Services } from '../services.ts';
import { idleEnd } from './lifetimes.ts';

type Needs = Pick<Services, 'clientDigests' | 'clock' | 'config' | 'db' | 'refreshTokens' | 'revocations'>;

/**
 * Within this, the token before the newest is taken for a client that refreshed twice at once, not for a thief. Measured
 * by the database: the instance that it comes to the second time may have another clock.
 */
const graceSeconds = 10;

const lockedSession = prepared('locked_session', ['id', 'grace'], (db, { id, grace }) =>
  db
    .select({ isRecent: sql<boolean | null>`${sessions.rotatedAt} > ${databaseTimePlus(grace)}` })
    .from(sessions)
    .where(eq(sessions.id, id))
    .for('update'),
);
const rotation = ['id', 'counter', 'client', 'now', 'offset', 'idleEnd', 'ip', 'userAgent'] as const;
const rotatedSession = prepared('rotated_session', rotation, (db, { id, counter, client, now, offset, idleEnd, ip, userAgent }) =>
  db
    .update(sessions)
    .set({
      refreshCounter: sql`${counter}`,
      rotatedAt: databaseTimePlus(offset),
      lastUsedAt: sql`${now}`,
      idleExpiresAt: sql`${idleEnd}`,
      client: sql`${client}`,
      ip: sql`${ip}`,
      userAgent: sql`${userAgent}`,
    })
    .where(eq(sessions.id, id))
    .returning(),
);

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
  const { clientDigests, clock, config, db, refreshTokens, revocations } = services;
  const presented = refreshTokens.read(token);
  if (presented === undefined) throw new Problem('invalid_refresh_token');
  const now = clock.now();

  const outcome = await db.transaction(async (tx): Promise<Outcome> => {
    const [locked] = await lockedSession(tx, { id: presented.sessionId, grace: millisecondsFromNow(clock, -graceSeconds) });
    const live = await findLiveSession(tx, presented.sessionId, now);
    if (live === undefined) return { ended: [] };
    const { id, userId, refreshCounter } = live.session;
    const isStranger = config.sessions.protection === 'strong' && !clientDigests.match(live.session.client, origin.ip, origin.userAgent);
    const isNewest = presented.counter === refreshCounter;
    const isTwin = presented.counter === refreshCounter - 1 && locked?.isRecent === true;
    const client = clientDigests.of(origin.ip, origin.userAgent);
    if (isNewest && !isStranger) return { live: await rotate(tx, live, { client, clock, now, origin }) };
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
  readonly clock: Clock;
  readonly now: Date;
  readonly origin: Origin;
}

async function rotate(tx: Queryable, { session, user }: LiveSession, { client, clock, now, origin }: Rotation): Promise<LiveSession> {
  const { id, refreshCounter } = session;
  const lives = { now, offset: millisecondsFromNow(clock), idleEnd: idleEnd(session, now) };
  const [rotated] = await rotatedSession(tx, { id, counter: refreshCounter + 1, client, ...lives, ...originColumns(origin) });
  return { session: rotated as SessionRow, user };
}
