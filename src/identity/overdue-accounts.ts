import { and, asc, isNull, lt, ne, type SQL } from 'drizzle-orm';
import type { Clock } from '../clock.ts';
import type { RetentionConfig } from '../config.ts';
import type { Queryable } from '../db/database.ts';
import { users } from '../db/schema.ts';
import { deleteUsers } from './delete-users.ts';

interface Overdue {
  /** Which of them, however busy others are with them; by default all with which nobody is. */
  readonly which?: SQL | undefined;
  /** After how many days an account that was never confirmed is deleted; 0 keeps it. */
  readonly ttlDays: number;
  readonly limit: number;
}

interface Removed {
  readonly accounts: number;
  /** To be told to the revocation feed after the commit. */
  readonly ended: readonly string[];
}

const dayMs = 24 * 3600 * 1000;

interface Needs {
  readonly clock: Clock;
  readonly config: { readonly retention: Pick<RetentionConfig, 'unconfirmedAccountDays'> };
  readonly db: Queryable;
  readonly revocations: { note(endedSessions: readonly string[]): void };
}

/**
 * Has accounts that were never confirmed in time give way to whoever wants their names, before the purge finds them.
 *
 * @param which at most two of them: one may have the address, and one the user name
 * @returns how many there were
 */
export async function makeOverdueGiveWay({ clock, config, db, revocations }: Needs, which: SQL | undefined): Promise<number> {
  const overdue = { which, ttlDays: config.retention.unconfirmedAccountDays, limit: 2 };
  const { accounts, ended } = await removeOverdueAccounts(db, overdue, clock);
  revocations.note(ended);
  return accounts;
}

/**
 * Deletes accounts that were never confirmed in time, with their sessions and mails, so that their names are free.
 *
 * One that is just being confirmed is left out, or waited for, and stays, as administrators do.
 */
export async function removeOverdueAccounts(db: Queryable, { which, ttlDays, limit }: Overdue, clock: Clock): Promise<Removed> {
  if (ttlDays === 0) return { accounts: 0, ended: [] };
  const before = new Date(clock.now().getTime() - ttlDays * dayMs);
  return db.transaction(async (tx) => {
    const isOverdue = and(isNull(users.confirmedAt), lt(users.createdAt, before), ne(users.role, 'admin'), which);
    const overdue = tx.select({ id: users.id }).from(users).where(isOverdue).orderBy(asc(users.id)).limit(limit);
    const rows = await overdue.for('no key update', which === undefined ? { skipLocked: true } : {});
    const ids = rows.map(({ id }) => id);
    if (ids.length === 0) return { accounts: 0, ended: [] };
    return { accounts: ids.length, ended: await deleteUsers(tx, ids, clock) };
  });
}
