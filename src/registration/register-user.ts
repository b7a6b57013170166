import { eq, or } from 'drizzle-orm';
import { v7 as timeOrderedUuid } from 'uuid';
import { type EmailAddress, parseEmail } from '../credentials/email.ts';
import { confirmationFaults } from '../credentials/new-password.ts';
import { canonicalUsername, usernameFaults } from '../credentials/username.ts';
import { violatedConstraint } from '../db/database.ts';
import { prepared } from '../db/prepared.ts';
import { users } from '../db/schema.ts';
import { reach } from '../failpoints.ts';
import { quietSeconds } from '../identity/disowned-addresses.ts';
import { type Agent, eventColumns, eventColumnsOf, noted, recordedWith } from '../identity/events.ts';
import { makeOverdueGiveWay } from '../identity/overdue-accounts.ts';
import type { UserRow } from '../identity/users.ts';
import { enqueueMail } from '../mail/outbox.ts';
import { preferredLanguage } from '../mail/words/index.ts';
import { type MemberFault, Problem } from '../problems/problem.ts';
import type { Services } from '../services.ts';
import { noticeAttempt } from './notice-attempt.ts';
import type { RegistrationBody } from './schemas.ts';

type Needs = Pick<
  Services,
  'clock' | 'config' | 'db' | 'failpoints' | 'hasher' | 'limits' | 'passwordPolicy' | 'revocations' | 'telemetry' | 'wakeMail'
>;

const newUserColumns = ['email', 'emailCanonical', 'username', 'usernameCanonical', 'passwordHash', 'locale', 'createdAt'] as const;
type NewUser = Pick<UserRow, 'id' | (typeof newUserColumns)[number]>;
/** With the event of it. */
const newUser = prepared(
  'new_user',
  [...newUserColumns, ...eventColumns],
  (db, { userId, id, type, at, ip, userAgent, actorId, ...row }) => {
    const inserted = db
      .insert(users)
      .values({ ...row, id: userId })
      .returning();
    const created = db.$with('created').as(inserted);
    const recorded = recordedWith(db, { rows: created, userId: created.id }, { id, type, at, ip, userAgent, actorId });
    return db.with(created, recorded).select().from(created);
  },
);

interface Registrant {
  readonly agent?: Agent;
  /** The client's header, for the language of mails when the body names none. */
  readonly acceptLanguage?: string | undefined;
}

/** The names come free while somebody else takes them: not more often than this. */
const maxTries = 5;

/**
 * Creates an unconfirmed account, and its confirmation mail with it: both or neither. Only an address whose owner has
 * just said that they did not register gets none.
 *
 * Whether the names are free is decided by the database alone, so that of parallel registrations one wins.
 *
 * @throws Problem `validation_failed` for what the schema cannot tell: a reserved name, a confirmation that differs
 * @throws Problem `weak_password`
 * @throws Problem `email_taken` or `username_taken`, with each taken member in `errors`
 * @throws Problem `rate_limited` when the address has been written to too often
 * @throws Problem `service_unavailable` when too many passwords are being hashed
 */
export async function registerUser(services: Needs, body: RegistrationBody, registrant: Registrant = {}): Promise<UserRow> {
  const { hasher, passwordPolicy } = services;
  const email = parseEmail(body.email);
  const faults = memberFaults(body);
  if (email === undefined) faults.push({ pointer: '/email', code: 'format', message: 'must be an e-mail address' });
  if (email === undefined || faults.length > 0) throw new Problem('validation_failed', { errors: faults });
  // Before it waits for its turn: whoever has to be asked about leaked passwords may be slow.
  await passwordPolicy.requireStrong(body.password, { email: email.canonical, username: body.username });
  return hasher.admit(() => createAccount(services, body, email, registrant));
}

async function createAccount(
  services: Needs,
  body: RegistrationBody,
  email: EmailAddress,
  { agent, acceptLanguage }: Registrant,
): Promise<UserRow> {
  const { clock, failpoints, hasher, telemetry, wakeMail } = services;
  const now = clock.now();
  const user: NewUser = {
    id: timeOrderedUuid({ msecs: now.getTime() }),
    email: email.address,
    emailCanonical: email.canonical,
    username: body.username,
    usernameCanonical: canonicalUsername(body.username),
    passwordHash: await hasher.hash(body.password),
    locale: body.locale ?? preferredLanguage(acceptLanguage) ?? null,
    createdAt: now,
  };
  let created = await insertUser(services, user, agent);
  for (let tries = 1; created === undefined && tries < maxTries; tries += 1) created = await insertUser(services, user, agent);
  if (created === undefined) throw new Problem('service_unavailable', { retryAfterSeconds: 1 });
  wakeMail();
  telemetry.tell({ what: 'registration' });
  await reach(failpoints, 'account committed');
  return created;
}

/** Answers undefined when an account that must give way had one of the names: it has done so, and the names are free. */
async function insertUser(services: Needs, user: NewUser, agent: Agent): Promise<UserRow | undefined> {
  const { clock, config, db, failpoints, limits } = services;
  try {
    return await db.transaction(async (tx) => {
      const registered = noted({ userId: user.id, type: 'registered', at: clock.now(), agent });
      const [row] = await newUser(tx, { ...user, ...eventColumnsOf(registered) });
      const mayBeWrittenTo = !config.rateLimit || (await quietSeconds(tx, user.emailCanonical, clock.now())) === 0;
      if (mayBeWrittenTo) {
        const retryAfterSeconds = await limits.recipients.countMail(tx, user.emailCanonical);
        if (retryAfterSeconds > 0) throw new Problem('rate_limited', { retryAfterSeconds });
        await enqueueMail(tx, { userId: user.id, kind: 'confirmation', recipient: user.email }, clock);
      }
      await reach(failpoints, 'account inserted');
      return row;
    });
  } catch (error) {
    if (violatedConstraint(error) === undefined) throw error;
    if (await freeOverdueNames(services, user)) return undefined;
    await noticeAttempt(services, user.emailCanonical, agent);
    throw await nameTaken(services, user, error);
  }
}

function memberFaults({ username, password, passwordConfirmation }: RegistrationBody): MemberFault[] {
  return [...usernameFaults(username), ...confirmationFaults({ member: 'password', password, confirmation: passwordConfirmation })];
}

/** Never-confirmed accounts whose time is over give way at once, not only when the purge finds them. Answers whether the names are free. */
async function freeOverdueNames(services: Needs, user: NewUser): Promise<boolean> {
  // Or the purge came first, or whoever had them has just deleted the account.
  return (await makeOverdueGiveWay(services, holdsNameOf(user))) > 0 || (await services.db.$count(users, holdsNameOf(user))) === 0;
}

function holdsNameOf(user: NewUser) {
  return or(eq(users.emailCanonical, user.emailCanonical), eq(users.usernameCanonical, user.usernameCanonical));
}

/** The database names one constraint only; the client is told of every name that is taken. */
async function nameTaken({ db }: Needs, user: NewUser, cause: unknown): Promise<Problem> {
  const holders = await db
    .select({ emailCanonical: users.emailCanonical, usernameCanonical: users.usernameCanonical })
    .from(users)
    .where(holdsNameOf(user));
  const byConstraint = violatedConstraint(cause);
  const emailTaken = byConstraint === 'users_email_key' || holders.some((holder) => holder.emailCanonical === user.emailCanonical);
  const usernameTaken =
    byConstraint === 'users_username_key' || holders.some((holder) => holder.usernameCanonical === user.usernameCanonical);
  const errors: MemberFault[] = [];
  if (emailTaken) errors.push({ pointer: '/email', code: 'email_taken', message: 'is taken' });
  if (usernameTaken) errors.push({ pointer: '/username', code: 'username_taken', message: 'is taken' });
  return new Problem(emailTaken ? 'email_taken' : 'username_taken', { cause, errors });
}
