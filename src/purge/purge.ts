import { setImmediate } from 'node:timers/promises';
import { inArray, lt, type SQL } from 'drizzle-orm';
import type { FastifyBaseLogger } from 'fastify';
import type { Clock } from '../clock.ts';
import type { RetentionConfig } from '../config.ts';
import type { Queryable } from '../db/database.ts';
import { events, sessions } from '../db/schema.ts';
import type { RevocationFeed } from '../guard/revocation-feed.ts';
import { purgeDisowned } from '../identity/disowned-addresses.ts';
import { purgeNetworks } from '../identity/known-networks.ts';
import { removeOverdueAccounts } from '../identity/overdue-accounts.ts';
import { purgeCounters } from '../limits/postgres-counters.ts';
import { purgeMails, releaseStranded } from '../mail/outbox.ts';
import { createRepeater, type Repeater } from '../repeater.ts';

interface PurgeOptions {
  readonly db: Queryable;
  readonly clock: Clock;
  readonly retention: RetentionConfig;
  readonly revocations: RevocationFeed;
}

/** Rows that are deleted at a time: few enough that nobody waits for it. */
export const batchSize = 500;
const everyMs = 10 * 60 * 1000;
const dayMs = 24 * 3600 * 1000;
/** A session that is over is answered like one that is gone; a day later no clock of any instance thinks it alive. */
const deadSessionDays = 1;

/**
 * Deletes what has been kept for long enough: accounts that were never confirmed, dead sessions, settled mails, old
 * events, networks nobody has logged in from for long, counters that are over, and revocations that everybody knows of.
 * Mails that a clock has stranded are sent.
 *
 * Any number of instances may do so at once: rows are deleted in small batches, and those that another transaction
 * holds are left for the next time. What fails does not keep the rest from being done.
 *
 * @throws AggregateError when something failed
 */
export async function purge({ db, clock, retention, revocations }: PurgeOptions, isClosing = () => false): Promise<void> {
  const { unconfirmedAccountDays, eventDays } = retention;
  /** Each deletes a batch, and answers how much there was to delete. */
  const batches: (() => Promise<number>)[] = [
    async () => {
      const { accounts, ended } = await removeOverdueAccounts(db, { ttlDays: unconfirmedAccountDays, limit: batchSize }, clock);
      revocations.note(ended);
      return accounts;
    },
    () => deleteBatch(db, sessions, lt(sessions.idleExpiresAt, daysAgo(clock, deadSessionDays))),
    () => deleteBatch(db, events, lt(events.at, daysAgo(clock, eventDays))),
    () => purgeMails(db, clock, batchSize),
    () => releaseStranded(db, clock),
    () => purgeNetworks(db, clock.now(), batchSize),
    () => purgeCounters(db, clock, batchSize),
    () => purgeDisowned(db, clock.now()),
    () => revocations.purge(),
  ];
  const failures: unknown[] = [];
  for (const batch of batches) {
    try {
      while (!isClosing() && (await batch()) >= batchSize) await setImmediate();
    } catch (error) {
      failures.push(error);
    }
  }
  if (failures.length > 0) throw new AggregateError(failures, 'not everything could be purged');
}

/** Purges now, and again and again until it is closed. */
export function startPurging(options: PurgeOptions, log: FastifyBaseLogger): Repeater {
  const work = (isClosing: () => boolean) => purge(options, isClosing);
  const repeater = createRepeater({ work, everyMs, log, complaint: 'what is old cannot be purged' });
  repeater.wake(0);
  return repeater;
}

function daysAgo(clock: Clock, days: number): Date {
  return new Date(clock.now().getTime() - days * dayMs);
}

async function deleteBatch(db: Queryable, table: typeof sessions | typeof events, isOld: SQL): Promise<number> {
  const old = db.select({ id: table.id }).from(table).where(isOld).limit(batchSize).for('update', { skipLocked: true });
  return (await db.delete(table).where(inArray(table.id, old)).returning({ id: table.id })).length;
}
