import { and, asc, eq, isNull, ne, or } from 'drizzle-orm';
import type { Queryable } from '../db/database.ts';
import { roles, users } from '../db/schema.ts';
import { endAllSessions } from '../identity/sessions.ts';
import { findUserByEmail, findUserById, findUserByUsername, markConfirmed, type UserRow } from '../identity/users.ts';
import { Problem } from '../problems/problem.ts';
import type { Services } from '../services.ts';

type Needs = Pick<Services, 'clock' | 'db' | 'revocations'>;

const uuid = /^[0-9a-f]{8}-(?:[0-9a-f]{4}-){3}[0-9a-f]{12}$/;

/**
 * Finds a user by id, e-mail address or name.
 *
 * @throws Problem `not_found`
 */
export async function requireNamedUser(db: Queryable, name: string): Promise<UserRow> {
  const find = uuid.test(name) ? findUserById : name.includes('@') ? findUserByEmail : findUserByUsername;
  const user = await find(db, name);
  if (user === undefined) throw new Problem('not_found');
  return user;
}

/** Confirms an address on the administrator's word; once more changes nothing. */
export async function confirmUser({ clock, db }: Needs, user: UserRow): Promise<UserRow> {
  return (await markConfirmed(db, user, clock.now())) ?? user;
}

/**
 * Shuts a user out: no login, no refresh, and every session ends at once.
 *
 * @throws Problem `last_administrator`
 */
export function disableUser(services: Needs, { id }: UserRow): Promise<UserRow> {
  return changeUser(services, id, async (tx, user) => {
    await requireAnotherAdministrator(tx, user);
    return { disabledAt: user.disabledAt ?? services.clock.now() };
  });
}

/** Lets a disabled user in again; they have to log in. */
export function enableUser(services: Needs, { id }: UserRow): Promise<UserRow> {
  return changeUser(services, id, async () => ({ disabledAt: null }));
}

/**
 * Gives a user another role. Their sessions end, since the tokens of these still tell the old one.
 *
 * @throws Problem `validation_failed` when there is no such role
 * @throws Problem `last_administrator`
 */
export function changeRole(services: Needs, { id }: UserRow, role: string): Promise<UserRow> {
  return changeUser(services, id, async (tx, user) => {
    await requireRole(tx, role);
    if (role !== user.role) await requireAnotherAdministrator(tx, user);
    return { role };
  });
}

/** @throws Problem `validation_failed` when there is no such role */
export async function requireRole(db: Queryable, role: string): Promise<void> {
  const [known] = await db.select().from(roles).where(eq(roles.name, role));
  if (known === undefined) throw new Problem('validation_failed', { errors: [{ pointer: '/role', code: 'enum', message: 'is no role' }] });
}

/**
 * Deletes a user, with sessions, mails and events.
 *
 * @throws Problem `last_administrator`
 */
export async function deleteUser({ clock, db, revocations }: Needs, { id }: UserRow): Promise<void> {
  const ended = await db.transaction(async (tx) => {
    const user = await lockUser(tx, id);
    await requireAnotherAdministrator(tx, user);
    const sessions = await endAllSessions(tx, id, clock);
    await tx.delete(users).where(eq(users.id, id));
    return sessions;
  });
  revocations.note(ended);
}

/** Ends every session of a user, and answers how many there were. */
export async function endUserSessions({ clock, db, revocations }: Needs, { id }: UserRow): Promise<number> {
  const ended = await db.transaction((tx) => endAllSessions(tx, id, clock));
  revocations.note(ended);
  return ended.length;
}

type Changes = Partial<Pick<UserRow, 'disabledAt' | 'role'>>;

/** Changes a user whom nobody else can change meanwhile, and ends the sessions that tell of them as they were. */
async function changeUser(
  { clock, db, revocations }: Needs,
  id: string,
  decide: (tx: Queryable, user: UserRow) => Promise<Changes>,
): Promise<UserRow> {
  const { changed, ended } = await db.transaction(async (tx) => {
    const user = await lockUser(tx, id);
    const changes = await decide(tx, user);
    const isSame = Object.entries(changes).every(([name, value]) => user[name as keyof Changes] === value);
    if (isSame) return { changed: user, ended: [] };
    const [updated] = await tx.update(users).set(changes).where(eq(users.id, id)).returning();
    return { changed: updated as UserRow, ended: await endAllSessions(tx, id, clock) };
  });
  revocations.note(ended);
  return changed;
}

/**
 * The user as they are now, whom nobody else can change until the transaction ends.
 *
 * Locks the administrators, too, so that two of them cannot shut each other out at the same moment; all in one order,
 * so that nobody waits for somebody who waits for them. What only refers to a user, such as an event, need not wait.
 */
async function lockUser(tx: Queryable, id: string): Promise<UserRow> {
  const concerned = or(eq(users.id, id), eq(users.role, 'admin'));
  const locked = await tx.select().from(users).where(concerned).orderBy(asc(users.id)).for('no key update');
  const user = locked.find((each) => each.id === id);
  if (user === undefined) throw new Problem('not_found');
  return user;
}

async function requireAnotherAdministrator(tx: Queryable, user: UserRow): Promise<void> {
  if (user.role !== 'admin' || user.disabledAt !== null) return;
  const isAnother = and(eq(users.role, 'admin'), isNull(users.disabledAt), ne(users.id, user.id));
  if ((await tx.$count(users, isAnother)) === 0) throw new Problem('last_administrator');
}
