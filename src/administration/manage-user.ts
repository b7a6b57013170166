import { eq } from 'drizzle-orm';
import type { Queryable } from '../db/database.ts';
import type { EventType } from '../db/kinds.ts';
import { roles } from '../db/schema.ts';
import { lockAmongAdministrators, removeUser, requireAnotherAdministrator } from '../identity/administrators.ts';
import { type Agent, recordEvent, recordEvents } from '../identity/events.ts';
import { endAllSessions } from '../identity/sessions.ts';
import { findUserByEmail, findUserById, findUserByUsername, type UserRow, updateUser } from '../identity/users.ts';
import { Problem } from '../problems/problem.ts';
import type { Services } from '../services.ts';

type Needs = Pick<Services, 'clock' | 'db' | 'revocations'>;

const uuid = /^[0-9a-f]{8}-(?:[0-9a-f]{4}-){3}[0-9a-f]{12}$/i;

/**
 * Finds a user by id, e-mail address or name.
 *
 * @throws Problem `not_found`
 */
export async function requireNamedUser(db: Queryable, name: string): Promise<UserRow> {
  const find = uuid.test(name) ? findUserById : name.includes('@') ? findUserByEmail : findUserByUsername;
  const user = await find(db, name);
  if (user === undefined) throw new Problem('not_found', { detail: 'There is no user with this name, address or id.' });
  return user;
}

export interface UserChanges {
  /** An address that has been confirmed never becomes unconfirmed again. */
  readonly confirmed?: true;
  readonly disabled?: boolean;
  readonly role?: string;
}

/**
 * Changes a user: all of it or nothing. What they are already is no change.
 *
 * Whoever is disabled cannot log in or refresh. With their role, or with being disabled or enabled, their sessions end,
 * since the tokens of these tell of them as they were.
 *
 * @throws Problem `not_found`
 * @throws Problem `validation_failed` when there is no such role
 * @throws Problem `last_administrator`
 */
export async function changeUser(services: Needs, id: string, wanted: UserChanges, agent?: Agent): Promise<UserRow> {
  const { clock, db, revocations } = services;
  const { changed, ended } = await db.transaction(async (tx) => {
    const user = await lockAmongAdministrators(tx, id);
    if (user === undefined) throw new Problem('not_found');
    const { changes, types } = await differences(tx, user, wanted, clock.now());
    if (types.length === 0) return { changed: user, ended: [] };
    const updated = await updateUser(tx, id, changes);
    const endsSessions = 'role' in changes || 'disabledAt' in changes;
    const endedNow = endsSessions ? await endAllSessions(tx, id, clock) : [];
    await recordEvents(tx, id, endedNow.length > 0 ? [...types, 'sessions_ended'] : types, agent, clock);
    return { changed: updated, ended: endedNow };
  });
  revocations.note(ended);
  return changed;
}

interface Differences {
  readonly changes: Partial<UserRow>;
  readonly types: readonly EventType[];
}

async function differences(tx: Queryable, user: UserRow, { confirmed, disabled, role }: UserChanges, now: Date): Promise<Differences> {
  const changes: Partial<UserRow> = {};
  const types: EventType[] = [];
  if (role !== undefined) await requireRole(tx, role);
  const isOtherRole = role !== undefined && role !== user.role;
  if (isOtherRole || disabled) await requireAnotherAdministrator(tx, user);
  if (confirmed && user.confirmedAt === null) {
    changes.confirmedAt = now;
    types.push('confirmed');
  }
  if (disabled !== undefined && disabled !== (user.disabledAt !== null)) {
    changes.disabledAt = disabled ? now : null;
    types.push(disabled ? 'disabled' : 'enabled');
  }
  if (isOtherRole) {
    changes.role = role;
    types.push('role_changed');
  }
  return { changes, types };
}

/** {@link changeUser}: confirms an address on the administrator's word. */
export const confirmUser = (services: Needs, { id }: UserRow) => changeUser(services, id, { confirmed: true });
/** {@link changeUser}: shuts a user out at once. */
export const disableUser = (services: Needs, { id }: UserRow) => changeUser(services, id, { disabled: true });
/** {@link changeUser}: lets a disabled user in again. */
export const enableUser = (services: Needs, { id }: UserRow) => changeUser(services, id, { disabled: false });
/** {@link changeUser}: gives a user another role. */
export const changeRole = (services: Needs, { id }: UserRow, role: string) => changeUser(services, id, { role });

/** @throws Problem `validation_failed` when there is no such role */
export async function requireRole(db: Queryable, role: string): Promise<void> {
  const [known] = await db.select().from(roles).where(eq(roles.name, role));
  if (known === undefined) throw new Problem('validation_failed', { errors: [{ pointer: '/role', code: 'enum', message: 'is no role' }] });
}

/**
 * Deletes a user, with sessions, mails and events.
 *
 * @throws Problem `not_found`
 * @throws Problem `last_administrator`
 */
export async function deleteUser({ clock, db, revocations }: Needs, { id }: Pick<UserRow, 'id'>): Promise<void> {
  const ended = await db.transaction(async (tx) => {
    const user = await lockAmongAdministrators(tx, id);
    if (user === undefined) throw new Problem('not_found');
    return removeUser(tx, user, clock);
  });
  revocations.note(ended);
}

/** Ends every session of a user, and answers how many there were. */
export async function endUserSessions({ clock, db, revocations }: Needs, { id }: Pick<UserRow, 'id'>, agent?: Agent): Promise<number> {
  const ended = await db.transaction(async (tx) => {
    const ids = await endAllSessions(tx, id, clock);
    if (ids.length > 0) await recordEvent(tx, id, 'sessions_ended', agent, clock);
    return ids;
  });
  revocations.note(ended);
  return ended.length;
}
