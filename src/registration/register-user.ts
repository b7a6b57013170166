import { eq, or } from 'drizzle-orm';
import { v7 as timeOrderedUuid } from 'uuid';
import { parseEmail } from '../credentials/email.ts';
import { isWeakPassword } from '../credentials/password-policy.ts';
import { canonicalUsername, isReservedUsername, isUsername } from '../credentials/username.ts';
import { violatedConstraint } from '../db/database.ts';
import { users } from '../db/schema.ts';
import { reach } from '../failpoints.ts';
import type { UserRow } from '../identity/users.ts';
import { enqueueMail } from '../mail/outbox.ts';
import { preferredLanguage } from '../mail/words/index.ts';
import { type MemberFault, Problem } from '../problems/problem.ts';
import type { Services } from '../services.ts';
import { noticeAttempt } from './notice-attempt.ts';
import type { RegistrationBody } from './schemas.ts';

type Needs = Pick<Services, 'clock' | 'config' | 'db' | 'failpoints' | 'hasher' | 'wakeMail'>;

/**
 * Creates an unconfirmed account, and its confirmation mail with it: both or neither.
 *
 * Whether the names are free is decided by the database alone, so that of parallel registrations one wins.
 *
 * @param acceptLanguage the client's header, for the language of mails when the body names none
 * @throws Problem `validation_failed` for what the schema cannot tell: a reserved name, a confirmation that differs
 * @throws Problem `weak_password`
 * @throws Problem `email_taken` or `username_taken`, with each taken member in `errors`
 * @throws Problem `service_unavailable` when too many passwords are being hashed
 */
export async function registerUser(services: Needs, body: RegistrationBody, acceptLanguage?: string): Promise<UserRow> {
  const { clock, config, db, failpoints, hasher, wakeMail } = services;
  const email = parseEmail(body.email);
  const faults = memberFaults(body);
  if (email === undefined) faults.push({ pointer: '/email', code: 'format', message: 'must be an e-mail address' });
  if (email === undefined || faults.length > 0) throw new Problem('validation_failed', { errors: faults });
  const words = [email.canonical, body.username, config.serviceName];
  if (isWeakPassword(body.password, { words, minLength: config.passwords.minLength })) throw new Problem('weak_password');

  const now = clock.now();
  const user: typeof users.$inferInsert = {
    id: timeOrderedUuid({ msecs: now.getTime() }),
    email: email.address,
    emailCanonical: email.canonical,
    username: body.username,
    usernameCanonical: canonicalUsername(body.username),
    passwordHash: await hasher.hash(body.password),
    locale: body.locale ?? preferredLanguage(acceptLanguage) ?? null,
    createdAt: now,
  };
  try {
    const created = await db.transaction(async (tx) => {
      const [row] = await tx.insert(users).values(user).returning();
      await enqueueMail(tx, { userId: user.id, kind: 'confirmation', recipient: user.email }, clock);
      await reach(failpoints, 'account inserted');
      return row as UserRow;
    });
    wakeMail();
    await reach(failpoints, 'account committed');
    return created;
  } catch (error) {
    if (violatedConstraint(error) === undefined) throw error;
    await noticeAttempt(services, user.emailCanonical);
    throw await nameTaken(services, user, error);
  }
}

function memberFaults({ username, password, passwordConfirmation }: RegistrationBody): MemberFault[] {
  const faults: MemberFault[] = [];
  if (!isUsername(username))
    faults.push({ pointer: '/username', code: 'pattern', message: 'must begin with a letter and have only letters, digits, _ and .' });
  if (isReservedUsername(username)) faults.push({ pointer: '/username', code: 'reserved', message: 'is reserved' });
  if (passwordConfirmation !== undefined && passwordConfirmation !== password) {
    faults.push({ pointer: '/passwordConfirmation', code: 'mismatch', message: 'must equal password' });
  }
  return faults;
}

/** The database names one constraint only; the client is told of every name that is taken. */
async function nameTaken({ db }: Needs, user: typeof users.$inferInsert, cause: unknown): Promise<Problem> {
  const holders = await db
    .select({ emailCanonical: users.emailCanonical, usernameCanonical: users.usernameCanonical })
    .from(users)
    .where(or(eq(users.emailCanonical, user.emailCanonical), eq(users.usernameCanonical, user.usernameCanonical)));
  const byConstraint = violatedConstraint(cause);
  const emailTaken = byConstraint === 'users_email_key' || holders.some((holder) => holder.emailCanonical === user.emailCanonical);
  const usernameTaken =
    byConstraint === 'users_username_key' || holders.some((holder) => holder.usernameCanonical === user.usernameCanonical);
  const errors: MemberFault[] = [];
  if (emailTaken) errors.push({ pointer: '/email', code: 'email_taken', message: 'is taken' });
  if (usernameTaken) errors.push({ pointer: '/username', code: 'username_taken', message: 'is taken' });
  return new Problem(emailTaken ? 'email_taken' : 'username_taken', { cause, errors });
}
