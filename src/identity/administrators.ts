import { and, asc, eq, isNotNull, isNull, ne, or } from 'drizzle-orm';
import type { Clock } from '../clock.ts';
import type { Queryable } from '../db/database.ts';
import { users } from '../db/schema.ts';
import { Problem } from '../problems/problem.ts';
import { deleteUsers } from './delete-users.ts';
import type { UserRow } from './users.ts';

/**
 * Locks a user, and the administrators, too, so that two of them cannot shut each other out at the same moment; all in
 * one order, so that nobody waits for somebody who waits for them. What only refers to a user need not wait.
 *
 * @returns the user as they are now; undefined when there is none with this id
 */
export async function lockAmongAdministrators(tx: Queryable, id: string): Promise<UserRow | undefined> {
  const concerned = or(eq(users.id, id), eq(users.role, 'admin'));
  const locked = await tx.select().from(users).where(concerned).orderBy(asc(users.id)).for('no key update');
  // The database takes an id in any case.
  return locked.find((each) => each.id === id.toLowerCase());
}

/**
 * To be asked before an administrator ceases to be one, with {@link lockAmongAdministrators}.
 *
 * @throws Problem `last_administrator`
 */
export async function requireAnotherAdministrator(tx: Queryable, user: UserRow): Promise<void> {
  if (user.role !== 'admin' || user.disabledAt !== null) return;
  // One who is not confirmed cannot do anything yet, and so cannot take the place of one who is.
  const isAsGood = user.confirmedAt === null ? undefined : isNotNull(users.confirmedAt);
  const isAnother = and(eq(users.role, 'admin'), isNull(users.disabledAt), ne(users.id, user.id), isAsGood);
  if ((await tx.$count(users, isAnother)) === 0) throw new Problem('last_administrator');
}

/**
 * Deletes a user who is locked by {@link lockAmongAdministrators}, with sessions, mails and events.
 *
 * @returns the sessions that this has ended, to be told to the revocation feed after the commit
 * @throws Problem `last_administrator`
 */
export async function removeUser(tx: Queryable, user: UserRow, clock: Clock): Promise<string[]> {
  await requireAnotherAdministrator(tx, user);
  return deleteUsers(tx, [user.id], clock);
}
