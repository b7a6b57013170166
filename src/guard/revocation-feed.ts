import { gt, lt, sql } from 'drizzle-orm';
import type { FastifyBaseLogger } from 'fastify';
import type { Clock } from '../clock.ts';
import { maxAccessTtlSeconds } from '../config.ts';
import type { Queryable } from '../db/database.ts';
import { revokedSessions } from '../db/schema.ts';
import { databaseTime } from '../db/time.ts';
import { createRepeater } from '../repeater.ts';

/**
 * Which sessions have been ended, as far as their access tokens may still live: known without asking the database.
 *
 * Polled, since listening would need a connection of its own, which poolers in transaction mode do not give.
 */
export interface RevocationFeed {
  isRevoked(sessionId: string): boolean;
  /** Whether the last look is so long ago that the database must be asked about each session instead. */
  isStale(): boolean;
  /** For how long it has not looked, in seconds. */
  lagSeconds(): number;
  /** Tells this instance at once; to be called after the commit that ended the sessions. */
  note(sessionIds: readonly string[]): void;
  /** Looks now. Rejects when the database does not answer. */
  poll(): Promise<void>;
  /** Deletes what no instance needs any longer, and answers 0: nothing is left. Rejects when the database does not answer. */
  purge(): Promise<number>;
  close(): Promise<void>;
}

interface RevocationFeedOptions {
  readonly db: Queryable;
  readonly clock: Clock;
  readonly accessTtlSeconds: number;
  readonly log: FastifyBaseLogger;
}

/** An ended session is known everywhere within a second, the query included. */
const pollIntervalMs = 750;
const staleAfterMs = 3000;
/** How long after it was written a revocation may become visible: longer than any transaction of ours takes. */
const overlapSeconds = 15;
/** How far the clocks of two instances may be apart: so much longer than its time may the token of one live with the other. */
const skewSeconds = 300;
/** As long as a token may live whatever is configured later: the time may be lowered, and raised again. */
const rowSeconds = maxAccessTtlSeconds + overlapSeconds + skewSeconds;

/**
 * Opens the feed: it has looked once, and goes on looking.
 *
 * Durations are measured by the monotonic clock. How far to look back is told by the database's time as well, and
 * whichever is further counts: the one stands still while the machine is suspended, the other may be set back.
 */
export async function openRevocationFeed({ db, clock, accessTtlSeconds, log }: RevocationFeedOptions): Promise<RevocationFeed> {
  // Ids in the order in which they can be forgotten.
  const forgetAt = new Map<string, number>();
  const keptSeconds = accessTtlSeconds + overlapSeconds + skewSeconds;
  const keptMs = keptSeconds * 1000;
  let lookedAt = performance.now() - keptMs;
  /** By the database's time; null before the first look. */
  let seenUntil: Date | null = null;

  function note(sessionIds: readonly string[]): void {
    const at = performance.now() + keptMs;
    for (const id of sessionIds) if (!forgetAt.has(id)) forgetAt.set(id, at);
  }

  function forget(now: number): void {
    for (const [id, at] of forgetAt) {
      if (at > now) return;
      forgetAt.delete(id);
    }
  }

  async function poll(): Promise<void> {
    const now = performance.now();
    const windowSeconds = (now - lookedAt) / 1000 + overlapSeconds;
    const { ids, at } = await endedSince(db, clock, { seenUntil, windowSeconds });
    note(ids);
    forget(now);
    lookedAt = now;
    seenUntil = new Date(at.getTime() - overlapSeconds * 1000);
  }

  async function purge(): Promise<number> {
    await db.delete(revokedSessions).where(lt(revokedSessions.revokedAt, databaseTime(clock, -rowSeconds)));
    return 0;
  }

  await poll();
  const polling = createRepeater({ work: poll, everyMs: pollIntervalMs, log, complaint: 'ended sessions cannot be looked up' });

  return {
    isRevoked: (sessionId) => forgetAt.has(sessionId),
    isStale: () => performance.now() - lookedAt > staleAfterMs,
    lagSeconds: () => (performance.now() - lookedAt) / 1000,
    note,
    poll,
    purge,
    close: polling.close,
  };
}

interface Sight {
  readonly seenUntil: Date | null;
  readonly windowSeconds: number;
}

/** The sessions that were ended since, and the database's time; which a join tells even when there are none. */
async function endedSince(db: Queryable, clock: Clock, { seenUntil, windowSeconds }: Sight): Promise<{ ids: string[]; at: Date }> {
  const { sessionId, revokedAt } = revokedSessions;
  const since = sql`least(${sql.param(seenUntil, revokedAt)}, ${databaseTime(clock, -windowSeconds)})`;
  const rows = await db
    .select({ at: sql`looked.at`.mapWith(revokedAt), id: sessionId })
    .from(sql`(select ${databaseTime(clock)} as at) looked`)
    .leftJoin(revokedSessions, gt(revokedAt, since));
  const { at } = rows[0] as (typeof rows)[number];
  return { ids: rows.flatMap(({ id }) => id ?? []), at };
}
