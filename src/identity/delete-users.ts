import { asc, inArray } from 'drizzle-orm';
import type { Clock } from '../clock.ts';
import type { Queryable } from '../db/database.ts';
import { mails, users } from '../db/schema.ts';
import { endSessionsOf } from './sessions.ts';

/**
 * Deletes users whom the transaction has locked by `no key update`, with their sessions, mails and events.
 *
 * A worker that settles a mail holds its row, and then records it for the user. So the mails go first, while others may
 * still refer to the user: the other way round, each would wait for the other.
 *
 * @returns the sessions that this has ended, to be told to the revocation feed after the commit
 */
export async function deleteUsers(tx: Queryable, ids: readonly string[], clock: Clock): Promise<string[]> {
  const ended = await endSessionsOf(tx, ids, clock);
  await tx.delete(mails).where(inArray(mails.userId, [...ids]));
  // In the order of recordHappenings, which refers to several at once, too.
  await tx
    .select({ id: users.id })
    .from(users)
    .where(inArray(users.id, [...ids]))
    .orderBy(asc(users.id))
    .for('update');
  await tx.delete(users).where(inArray(users.id, [...ids]));
  return ended;
}
