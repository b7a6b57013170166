import { and, asc, eq, gt, inArray, isNull, ne, type Placeholder, type SQL } from 'drizzle-orm';
import type { Clock } from '../clock.ts';
import type { Queryable } from '../db/database.ts';
import { prepared } from '../db/prepared.ts';
import { revokedSessions, sessions, users } from '../db/schema.ts';
import { databaseTime } from '../db/time.ts';
import type { UserRow } from './users.ts';

export type SessionRow = typeof sessions.$inferSelect;

/** A session that still lives, and its user as they are now. */
export interface LiveSession {
  readonly session: SessionRow;
  readonly user: UserRow;
}

/** Joins a session with its user, where it is neither over nor ended, and they are not disabled. */
export function isLiveOfItsUser(id: Placeholder, now: Placeholder): SQL | undefined {
  const isNotOver = and(gt(sessions.expiresAt, now), gt(sessions.idleExpiresAt, now));
  return and(eq(sessions.id, id), isNotOver, eq(users.id, sessions.userId), isNull(users.disabledAt));
}

const liveSession = prepared('live_session', ['id', 'now'], (db, { id, now }) =>
  db.select({ session: sessions, user: users }).from(sessions).crossJoin(users).where(isLiveOfItsUser(id, now)),
);

/** Finds a session that is neither over nor ended, of a user that is not disabled. */
export async function findLiveSession(db: Queryable, id: string, now: Date): Promise<LiveSession | undefined> {
  const [found] = await liveSession(db, { id, now });
  return found;
}

/**
 * Ends sessions: each goes from those that live to those that are revoked, which every instance learns of.
 *
 * To be told to the revocation feed of this instance after the commit, so that it knows at once.
 *
 * @returns the ids of the sessions that this call has ended
 */
async function endSessions(tx: Queryable, which: SQL | undefined, clock: Clock): Promise<string[]> {
  const ended = await tx.delete(sessions).where(which).returning({ sessionId: sessions.id });
  if (ended.length === 0) return [];
  const revokedAt = databaseTime(clock);
  await tx
    .insert(revokedSessions)
    .values(ended.map(({ sessionId }) => ({ sessionId, revokedAt })))
    .onConflictDoNothing();
  return ended.map(({ sessionId }) => sessionId);
}

/** Ends every session of some users. See {@link endSessions}. */
export function endSessionsOf(tx: Queryable, userIds: readonly string[], clock: Clock): Promise<string[]> {
  return endSessions(tx, inArray(sessions.userId, [...userIds]), clock);
}

/** Ends every session of a user. See {@link endSessions}. */
export function endAllSessions(tx: Queryable, userId: string, clock: Clock): Promise<string[]> {
  return endSessions(tx, eq(sessions.userId, userId), clock);
}

/** Ends those of the sessions that are the user's. See {@link endSessions}. */
export function endSessionsById(tx: Queryable, userId: string, ids: readonly string[], clock: Clock): Promise<string[]> {
  return ids.length === 0 ? Promise.resolve([]) : endSessions(tx, and(eq(sessions.userId, userId), inArray(sessions.id, [...ids])), clock);
}

/** Ends every session of a user but one. See {@link endSessions}. */
export function endOtherSessions(tx: Queryable, userId: string, sessionId: string, clock: Clock): Promise<string[]> {
  return endSessions(tx, and(eq(sessions.userId, userId), ne(sessions.id, sessionId)), clock);
}

/**
 * Ends some of all sessions, those that have lived longest first. See {@link endSessions}.
 *
 * @returns the ids of those that this call has ended: none when none is left
 */
export function endOldestSessions(tx: Queryable, limit: number, clock: Clock): Promise<string[]> {
  const oldest = tx.select({ id: sessions.id }).from(sessions).orderBy(asc(sessions.id)).limit(limit);
  return endSessions(tx, inArray(sessions.id, oldest), clock);
}
