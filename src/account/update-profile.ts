import { and, asc, desc, eq, gt, ne, or } from 'drizzle-orm';
import { canonicalUsername, usernameFaults } from '../credentials/username.ts';
import { type Queryable, violatedConstraint } from '../db/database.ts';
import { events, users } from '../db/schema.ts';
import { type Origin, recordEvent } from '../identity/events.ts';
import { makeOverdueGiveWay } from '../identity/overdue-accounts.ts';
import { type UserRow, updateUser } from '../identity/users.ts';
import { usernameLimit } from '../limits/limits.ts';
import { Problem } from '../problems/problem.ts';
import type { Services } from '../services.ts';
import type { ProfileBody } from './schemas.ts';

const dayMs = 24 * 3600 * 1000;
const namesADay = 10;

/**
 * Changes the name of a user, the language of their mails, or both. What is not named stays as it is.
 *
 * @throws Problem `validation_failed` for a name that nobody may have
 * @throws Problem `username_taken`
 * @throws Problem `rate_limited` after ten other names in a day, or twenty questions for one in an hour
 * @throws Problem `unauthenticated` when the account has gone since the session was checked
 */
export async function updateProfile(
  services: Pick<Services, 'clock' | 'config' | 'db' | 'limits' | 'revocations'>,
  userId: string,
  { username, locale }: ProfileBody,
  origin: Origin,
): Promise<UserRow> {
  const { clock, config, db, limits } = services;
  const errors = username === undefined ? [] : usernameFaults(username);
  if (errors.length > 0) throw new Problem('validation_failed', { errors });
  if (username !== undefined) {
    await limits.limiter.take([{ limit: usernameLimit, subject: userId }]);
    await makeOverdueGiveWay(services, and(eq(users.usernameCanonical, canonicalUsername(username)), ne(users.id, userId)));
  }
  try {
    return await db.transaction(async (tx) => {
      const user = await lockWithHolder(tx, userId, username);
      const isOtherName = username !== undefined && username !== user.username;
      const changes = {
        ...(isOtherName && { username, usernameCanonical: canonicalUsername(username) }),
        ...(locale !== undefined && locale !== user.locale && { locale }),
      };
      if (Object.keys(changes).length === 0) return user;
      if (isOtherName) {
        if (config.rateLimit) await requireRareChange(tx, userId, clock.now());
        await recordEvent(tx, userId, 'username_changed', origin, clock);
      }
      return updateUser(tx, userId, changes);
    });
  } catch (cause) {
    throw violatedConstraint(cause) === undefined ? cause : usernameTaken(cause);
  }
}

/**
 * Locks the user, and whoever has the name that they want; in one order, since two who want each other's name would
 * otherwise wait for each other.
 */
async function lockWithHolder(tx: Queryable, userId: string, username: string | undefined): Promise<UserRow> {
  const isHolder = username === undefined ? undefined : eq(users.usernameCanonical, canonicalUsername(username));
  const concerned = or(eq(users.id, userId), isHolder);
  const locked = await tx.select().from(users).where(concerned).orderBy(asc(users.id)).for('no key update');
  const user = locked.find(({ id }) => id === userId);
  if (user === undefined) throw new Problem('unauthenticated');
  if (locked.length > 1) throw usernameTaken();
  return user;
}

/** A name by which nobody can know anybody is of no use; each change is also kept as an event. */
async function requireRareChange(tx: Queryable, userId: string, now: Date): Promise<void> {
  const since = new Date(now.getTime() - dayMs);
  const isChange = and(eq(events.userId, userId), eq(events.type, 'username_changed'), gt(events.at, since));
  const [limiting] = await tx
    .select({ at: events.at })
    .from(events)
    .where(isChange)
    .orderBy(desc(events.at))
    .offset(namesADay - 1)
    .limit(1);
  if (limiting === undefined) return;
  throw new Problem('rate_limited', { retryAfterSeconds: (limiting.at.getTime() + dayMs - now.getTime()) / 1000 });
}

function usernameTaken(cause?: unknown): Problem {
  return new Problem('username_taken', { cause, errors: [{ pointer: '/username', code: 'username_taken', message: 'is taken' }] });
}
