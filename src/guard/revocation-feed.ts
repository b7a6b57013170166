import { gt, lt } from 'drizzle-orm';
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

/** Opens the feed: it has looked once, and goes on looking. Durations are measured by the monotonic clock. */
export async function openRevocationFeed({ db, clock, accessTtlSeconds, log }: RevocationFeedOptions): Promise<RevocationFeed> {
  // Ids in the order in which they can be forgotten.
  const forgetAt = new Map<string, number>();
  const keptSeconds = accessTtlSeconds + overlapSeconds + skewSeconds;
  const keptMs = keptSeconds * 1000;
  let lookedAt = performance.now() - keptMs;

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
    const rows = await db
      .select({ id: revokedSessions.sessionId })
      .from(revokedSessions)
      .where(gt(revokedSessions.revokedAt, databaseTime(clock, -windowSeconds)));
    note(rows.map(({ id }) => id));
    forget(now);
    lookedAt = now;
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
