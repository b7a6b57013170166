import { and, eq, isNull } from 'drizzle-orm';
import type { Purpose } from '../config.ts';
import { lowerAscii, parseEmail } from '../credentials/email.ts';
import { canonicalUsername } from '../credentials/username.ts';
import type { Queryable } from '../db/database.ts';
import { users } from '../db/schema.ts';
import { Problem } from '../problems/problem.ts';

/** A user as the database has it. Never sent to anybody: see {@link presentUser}. */
export type UserRow = typeof users.$inferSelect;

export async function findUserById(db: Queryable, id: string): Promise<UserRow | undefined> {
  const [user] = await db.select().from(users).where(eq(users.id, id));
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
  const canonical = parseEmail(email)?.canonical ?? lowerAscii(email);
  const [user] = await db.select().from(users).where(eq(users.emailCanonical, canonical));
  return user;
}

export async function findUserByUsername(db: Queryable, username: string): Promise<UserRow | undefined> {
  const [user] = await db
    .select()
    .from(users)
    .where(eq(users.usernameCanonical, canonicalUsername(username)));
  return user;
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

/**
 * Marks an address as confirmed, if the account still has it and is not disabled.
 *
 * @returns the user when this call was the one that did it; undefined when there was nothing to change
 */
export async function markConfirmed(db: Queryable, user: UserRow, now: Date): Promise<UserRow | undefined> {
  const [confirmed] = await db
    .update(users)
    .set({ confirmedAt: now })
    .where(and(eq(users.id, user.id), eq(users.emailCanonical, user.emailCanonical), isNull(users.confirmedAt), isNull(users.disabledAt)))
    .returning();
  return confirmed;
}

/**
 * What the token of a mailed link is signed over: the part of the account that using it changes, so that it works
 * once, or that it must not outlive.
 */
export const linkState: Readonly<Record<Purpose, (user: UserRow) => string>> = {
  // It proves this address, and no other that the account may get.
  confirmation: (user) => user.emailCanonical,
  'password-reset': (user) => `${user.credentialVersion} ${user.emailCanonical}`,
  'email-change': (user) => `${user.credentialVersion} ${user.emailCanonical} ${user.pendingEmailSince?.getTime()} ${user.pendingEmail}`,
};
