import { and, eq, isNull, sql } from 'drizzle-orm';
import type { Clock } from '../clock.ts';
import type { Purpose } from '../config.ts';
import { lowerAscii, parseEmail } from '../credentials/email.ts';
import { canonicalUsername } from '../credentials/username.ts';
import type { Queryable } from '../db/database.ts';
import { prepared } from '../db/prepared.ts';
import { users } from '../db/schema.ts';
import { Problem } from '../problems/problem.ts';
import { eventColumns, eventColumnsOf, noted, type Origin, recordedWith } from './events.ts';

/** A user as the database has it. Never sent to anybody: see {@link presentUser}. */
export type UserRow = typeof users.$inferSelect;

const userById = prepared('user_by_id', ['id'], (db, { id }) => db.select().from(users).where(eq(users.id, id)));
const userByEmail = prepared('user_by_email', ['email'], (db, { email }) => db.select().from(users).where(eq(users.emailCanonical, email)));
const userByUsername = prepared('user_by_username', ['name'], (db, { name }) =>
  db.select().from(users).where(eq(users.usernameCanonical, name)),
);
const lockedUser = prepared('locked_user', ['id'], (db, { id }) => db.select().from(users).where(eq(users.id, id)).for('no key update'));

export async function findUserById(db: Queryable, id: string): Promise<UserRow | undefined> {
  const [user] = await userById(db, { id });
  return user;
}

/** @throws Problem `unauthenticated` when the account has gone since the session was checked */
export async function requireUser(db: Queryable, id: string): Promise<UserRow> {
  const user = await findUserById(db, id);
  if (user === undefined) throw new Problem('unauthenticated');
  return user;
}

/** Finds a user by any spelling of their address; takes any text. */
export async function findUserByEmail(db: Queryable, email: string): Promise<UserRow | undefined> {
  const [user] = await userByEmail(db, { email: parseEmail(email)?.canonical ?? lowerAscii(email) });
  return user;
}

export async function findUserByUsername(db: Queryable, username: string): Promise<UserRow | undefined> {
  const [user] = await userByUsername(db, { name: canonicalUsername(username) });
  return user;
}

/**
 * Locks a user against changes until the transaction ends; what only refers to them, such as a new event, need not wait.
 *
 * @returns the user as they are now; undefined when their password or address has been changed since they were read,
 *   or when they have been disabled or are gone: whatever was found out about them then is void
 */
export async function lockUnchangedUser(tx: Queryable, { id, credentialVersion }: UserRow): Promise<UserRow | undefined> {
  const user = await lockUser(tx, id);
  return user?.disabledAt === null && user.credentialVersion === credentialVersion ? user : undefined;
}

/** {@link lockUnchangedUser}, by id alone. */
export async function lockUser(tx: Queryable, id: string): Promise<UserRow | undefined> {
  const [user] = await lockedUser(tx, { id });
  return user;
}

/** Changes a user that the transaction has locked, and answers them as they are then. */
export async function updateUser(tx: Queryable, id: string, changes: Partial<UserRow>): Promise<UserRow> {
  const [user] = await tx.update(users).set(changes).where(eq(users.id, id)).returning();
  return user as UserRow;
}

/** What has to change with a password or an address, so that whatever was signed over the old ones is void. */
export function voidPending({ credentialVersion }: UserRow): Partial<UserRow> {
  return { credentialVersion: credentialVersion + 1, pendingEmail: null, pendingEmailSince: null };
}

/**
 * Replaces a password hash by one of the same password.
 *
 * Does nothing when the hash is not the one that was checked: a password change that came in between stays.
 */
export async function replacePasswordHash(db: Queryable, user: UserRow, passwordHash: string): Promise<void> {
  await db
    .update(users)
    .set({ passwordHash })
    .where(and(eq(users.id, user.id), eq(users.passwordHash, user.passwordHash)));
}

const confirmedUser = prepared('confirmed_user', [...eventColumns, 'email'], (db, { userId, email, ...event }) => {
  const unconfirmed = and(eq(users.id, userId), eq(users.emailCanonical, email), isNull(users.confirmedAt), isNull(users.disabledAt));
  const confirmation = db
    .update(users)
    .set({ confirmedAt: sql`${event.at}` })
    .where(unconfirmed)
    .returning();
  const confirmed = db.$with('confirmed').as(confirmation);
  const recorded = recordedWith(db, { rows: confirmed, userId: confirmed.id }, event);
  return db.with(confirmed, recorded).select().from(confirmed);
});

/**
 * Marks an address as confirmed, if the account still has it and is not disabled, and records it: both or nothing, in one statement.
 *
 * @returns the user when this call was the one that did it; undefined when there was nothing to change
 */
export async function markConfirmed(db: Queryable, user: UserRow, origin: Origin, clock: Clock): Promise<UserRow | undefined> {
  const event = eventColumnsOf(noted({ userId: user.id, type: 'confirmed', at: clock.now(), agent: origin }));
  const [confirmed] = await confirmedUser(db, { ...event, email: user.emailCanonical });
  return confirmed;
}

/**
 * What the token of a mailed link is signed over: the part of the account that using it changes, so that it works
 * once, or that it must not outlive.
 */
export const linkState: Readonly<Record<Purpose, (user: UserRow) => string>> = {
  // It proves this address, and no other that the account may get.
  confirmation: addressOf,
  disown: addressOf,
  'password-reset': (user) => `${user.credentialVersion} ${addressOf(user)}`,
  'email-change': (user) => `${user.credentialVersion} ${addressOf(user)} ${user.pendingEmailSince?.getTime()} ${user.pendingEmail}`,
};

/** Of the address that is written to, even if somebody has changed that by hand and nothing else. */
function addressOf({ email }: UserRow): string {
  return lowerAscii(email);
}
