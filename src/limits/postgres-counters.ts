import { and, eq, gt, inArray, lte, or, sql } from 'drizzle-orm';
import type { Clock } from '../clock.ts';
import type { Queryable } from '../db/database.ts';
import { prepared } from '../db/prepared.ts';
import { rateLimits } from '../db/schema.ts';
import { databaseTime, databaseTimePlus, millisecondsFromNow } from '../db/time.ts';
import type { Change, Counter, Counters } from './counters.ts';

/** Counters in the database, by its time. Parallel requests share statements, so that a flood of them holds one connection at most. */
export function createPostgresCounters(db: Queryable, clock: Clock): Counters {
  return shareStatements((changes) => changeCounters(db, changes, clock));
}

/** With lists, so that it is one statement for any number of counters. */
const changedCounters = prepared('changed_counters', ['keys', 'uses', 'windows', 'offset'], (db, { keys, uses, windows, offset }) => {
  const now = databaseTimePlus(offset);
  const changes = sql`unnest(${keys}::text[], ${uses}::int[], ${windows}::float8[]) as change (key, used, seconds)`;
  const isLive = sql`${rateLimits.resetsAt} > ${now}`;
  return db
    .insert(rateLimits)
    .select(sql`select key, used, ${now} + seconds * interval '1 second' from ${changes}`)
    .onConflictDoUpdate({
      target: rateLimits.key,
      set: {
        // What is given back after its window has ended must not add to the next one.
        used: sql`greatest(0, case when ${isLive} then ${rateLimits.used} else 0 end + excluded.used)`,
        // It ends when it was to end, or sooner, when the database's clock has been put back.
        resetsAt: sql`case when ${isLive} then least(${rateLimits.resetsAt}, excluded.resets_at) else excluded.resets_at end`,
      },
    })
    .returning({
      key: rateLimits.key,
      used: rateLimits.used,
      resetsInSeconds: sql<number>`extract(epoch from ${rateLimits.resetsAt} - (${now}))::float8`,
    });
});

/**
 * Changes counters in one statement, for what must be counted in the transaction of that which it counts.
 *
 * @param changes of which no two have the same key
 * @returns the counters by key
 */
export async function changeCounters(db: Queryable, changes: readonly Change[], clock: Clock): Promise<ReadonlyMap<string, Counter>> {
  // In one order, since instances that lock the same rows in different orders would wait for each other.
  const sorted = changes.toSorted((a, b) => (a.key < b.key ? -1 : 1));
  const rows = await changedCounters(db, {
    keys: sorted.map(({ key }) => key),
    uses: sorted.map(({ by }) => by),
    windows: sorted.map(({ windowSeconds }) => windowSeconds),
    offset: millisecondsFromNow(clock),
  });
  return new Map(rows.map(({ key, ...counter }) => [key, counter]));
}

/** Counters as they are, by key; one that is over, or has never begun, is missing. */
export async function readCounters(db: Queryable, keys: readonly string[], clock: Clock): Promise<ReadonlyMap<string, Counter>> {
  const now = databaseTime(clock);
  const resetsInSeconds = sql<number>`extract(epoch from ${rateLimits.resetsAt} - (${now}))::float8`;
  const rows = await db
    .select({ key: rateLimits.key, used: rateLimits.used, resetsInSeconds })
    .from(rateLimits)
    .where(and(inArray(rateLimits.key, [...keys]), gt(rateLimits.resetsAt, now)));
  return new Map(rows.map(({ key, ...counter }) => [key, counter]));
}

/** Deletes some of the counters whose window is over, or that have come to nothing, and answers how many. */
export async function purgeCounters(db: Queryable, clock: Clock, limit: number): Promise<number> {
  // Of what was given back nothing is left to be counted.
  const isOver = or(lte(rateLimits.resetsAt, databaseTime(clock)), eq(rateLimits.used, 0));
  const over = db.select({ key: rateLimits.key }).from(rateLimits).where(isOver).limit(limit).for('update', { skipLocked: true });
  return (await db.delete(rateLimits).where(inArray(rateLimits.key, over)).returning({ key: rateLimits.key })).length;
}

/** Requests that share a statement: nobody waits for long. */
const batchSize = 500;

interface Waiter {
  readonly changes: readonly Change[];
  readonly resolve: (counters: readonly Counter[]) => void;
  readonly reject: (error: unknown) => void;
}

/** Makes one statement of all that is asked for while the one before is under way. Each still sees its own number. */
function shareStatements(change: (changes: readonly Change[]) => Promise<ReadonlyMap<string, Counter>>): Counters {
  const waiting: Waiter[] = [];
  let isUnderWay = false;

  async function work(): Promise<void> {
    while (waiting.length > 0) {
      const batch = waiting.splice(0, batchSize);
      try {
        answer(batch, await change(merged(batch)));
      } catch (error) {
        for (const { reject } of batch) reject(error);
      }
    }
    isUnderWay = false;
  }

  return {
    add: (changes) =>
      new Promise((resolve, reject) => {
        waiting.push({ changes, resolve, reject });
        if (isUnderWay) return;
        isUnderWay = true;
        // The rest of what this turn of the loop asks for comes along.
        setImmediate(work);
      }),
  };
}

function merged(batch: readonly Waiter[]): Change[] {
  const byKey = new Map<string, Change>();
  for (const change of batch.flatMap(({ changes }) => changes)) {
    byKey.set(change.key, { ...change, by: change.by + (byKey.get(change.key)?.by ?? 0) });
  }
  return [...byKey.values()];
}

/** Tells each what it would have seen if all had come one after the other. */
function answer(batch: readonly Waiter[], counters: ReadonlyMap<string, Counter>): void {
  const running = new Map(merged(batch).map(({ key, by }) => [key, (counters.get(key)?.used ?? 0) - by]));
  for (const { changes, resolve } of batch) {
    resolve(
      changes.map(({ key, by }) => {
        const used = (running.get(key) ?? 0) + by;
        running.set(key, used);
        return { used, resetsInSeconds: counters.get(key)?.resetsInSeconds ?? 0 };
      }),
    );
  }
}
