import { and, desc, eq, gt, ne } from 'drizzle-orm';
import { v7 as timeOrderedUuid } from 'uuid';
import { parseEmail } from '../credentials/email.ts';
import { canonicalUsername } from '../credentials/username.ts';
import type { Queryable } from '../db/database.ts';
import { prepared } from '../db/prepared.ts';
import { sessions } from '../db/schema.ts';
import { type Origin, originColumns, recordEvents } from '../identity/events.ts';
import { rememberNetwork } from '../identity/known-networks.ts';
import { endSessionsById, type LiveSession, type SessionRow } from '../identity/sessions.ts';
import { findUserByEmail, findUserByUsername, lockUnchangedUser, replacePasswordHash, type UserRow } from '../identity/users.ts';
import { Problem } from '../problems/problem.ts';
import type { Services } from '../services.ts';
import { absoluteEnd, idleEnd } from './lifetimes.ts';
import { type LoginBody, maxSessions } from './schemas.ts';

type Needs = Pick<Services, 'clientDigests' | 'clock' | 'db' | 'eventBuffer' | 'hasher' | 'limits' | 'revocations' | 'telemetry'>;

const newSessionColumns = [
  'id',
  'userId',
  'createdAt',
  'lastUsedAt',
  'idleExpiresAt',
  'expiresAt',
  'rememberMe',
  'ip',
  'userAgent',
  'client',
] as const;
type NewSession = Pick<SessionRow, (typeof newSessionColumns)[number]>;

const newSessionRow = prepared('new_session', newSessionColumns, (db, row) => db.insert(sessions).values(row).returning());
const sessionsBeyond = prepared('sessions_beyond', ['userId', 'id', 'now', 'limit'], (db, { userId, id, now, limit }) =>
  db
    .select({ id: sessions.id })
    .from(sessions)
    .where(and(eq(sessions.userId, userId), ne(sessions.id, id), gt(sessions.expiresAt, now), gt(sessions.idleExpiresAt, now)))
    .orderBy(desc(sessions.createdAt), desc(sessions.id))
    .offset(limit),
);

/**
 * Opens a session for whoever knows the password; the account need not be confirmed.
 *
 * An unknown account, a wrong password and a disabled account cost the same and are answered alike (ASVS 6.3.8).
 * A password change or a disabling that comes in between wins: the session is not opened.
 *
 * @throws Problem `invalid_credentials`
 * @throws Problem `rate_limited` after too many wrong passwords, for an account that there is not as for any other
 * @throws Problem `service_unavailable` when too many passwords are being checked
 */
export async function logIn(services: Needs, body: LoginBody, origin: Origin): Promise<LiveSession> {
  const { clientDigests, clock, db, hasher, limits, revocations, telemetry } = services;
  const user = await findUser(db, body);
  const isRight = async () => (await hasher.verify(user?.passwordHash, body.password)) && user?.disabledAt === null;
  const mayEnter = await limits.passwords.check({ origin, account: accountOf(body), user }, isRight);
  if (user === undefined || !mayEnter) throw refused(services, user, origin);
  if (hasher.needsRehash(user.passwordHash)) await replacePasswordHash(db, user, await hasher.hash(body.password));

  const opened = await db.transaction(async (tx) => {
    const current = await lockUnchangedUser(tx, user);
    if (current === undefined) throw refused(services, user, origin);
    const session = await insertSession(tx, newSession(services, current, body.rememberMe ?? false, origin));
    const ended = await endSessionsById(tx, user.id, await sessionsBeyondLimit(tx, session), clock);
    await rememberNetwork(tx, user.id, clientDigests.of(origin.ip), clock.now());
    await recordEvents(tx, user.id, ended.length > 0 ? ['logged_in', 'sessions_ended'] : ['logged_in'], origin, clock);
    return { session, user: current, ended };
  });
  revocations.note(opened.ended);
  telemetry.tell({ what: 'login' });
  return opened;
}

/** The owner of the account is told; whoever was refused cannot tell whether there is one. */
function refused({ clock, eventBuffer, telemetry }: Needs, user: UserRow | undefined, origin: Origin): Problem {
  if (user !== undefined) eventBuffer.note({ userId: user.id, type: 'login_failed', at: clock.now(), agent: origin });
  telemetry.tell({ what: 'failed_login' });
  return new Problem('invalid_credentials');
}

/** Not the user: whoever guesses must not learn which address belongs to which name. */
function accountOf({ email, username = '' }: LoginBody): string {
  return email === undefined ? `username ${canonicalUsername(username)}` : (parseEmail(email)?.canonical ?? email);
}

async function findUser(db: Queryable, { email, username }: LoginBody): Promise<UserRow | undefined> {
  return email === undefined ? findUserByUsername(db, username ?? '') : findUserByEmail(db, email);
}

function newSession({ clientDigests, clock }: Needs, user: UserRow, rememberMe: boolean, origin: Origin): NewSession {
  const now = clock.now();
  const lifetime = { rememberMe, expiresAt: absoluteEnd(now) };
  return {
    id: timeOrderedUuid({ msecs: now.getTime() }),
    userId: user.id,
    createdAt: now,
    lastUsedAt: now,
    idleExpiresAt: idleEnd(lifetime, now),
    ...lifetime,
    ...originColumns(origin),
    client: clientDigests.of(origin.ip, origin.userAgent),
  };
}

async function insertSession(tx: Queryable, session: NewSession): Promise<SessionRow> {
  const [row] = await newSessionRow(tx, session);
  return row as SessionRow;
}

/**
 * The oldest sessions for which there is no room beside a new one, whatever the clocks say that opened them. Those that are
 * over do not count against those that live; they are purged before long.
 */
async function sessionsBeyondLimit(tx: Queryable, { id, userId, createdAt }: SessionRow): Promise<string[]> {
  const rows = await sessionsBeyond(tx, { userId, id, now: createdAt, limit: maxSessions - 1 });
  return rows.map(({ id }) => id);
}
