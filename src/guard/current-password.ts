import type { Clock } from '../clock.ts';
import type { PasswordHasher } from '../credentials/password-hashing.ts';
import type { Queryable } from '../db/database.ts';
import { noted, type Origin, recordHappenings } from '../identity/events.ts';
import { requireUser, type UserRow } from '../identity/users.ts';
import type { Limits } from '../limits/create-limits.ts';
import { Problem } from '../problems/problem.ts';
import type { SessionIds } from './log-out.ts';

interface Needs {
  readonly clock: Clock;
  readonly db: Queryable;
  readonly hasher: PasswordHasher;
  readonly limits: Pick<Limits, 'passwords'>;
}

/**
 * The user of a session, who has shown once more that they know the password: a session alone may be in the hands of
 * somebody who has found an unlocked device (ASVS 6.2.3, 7.5.1). A wrong one is recorded.
 *
 * @throws Problem `wrong_password`
 * @throws Problem `rate_limited` after too many wrong ones
 * @throws Problem `unauthenticated` when the account has gone since the session was checked
 * @throws Problem `service_unavailable` when too many passwords are being checked
 */
export async function requirePassword(
  { clock, db, hasher, limits }: Needs,
  { id: sessionId, userId }: SessionIds,
  password: string,
  origin: Origin,
): Promise<UserRow> {
  const user = await requireUser(db, userId);
  if (await limits.passwords.checkInSession({ user, sessionId, origin }, () => hasher.verify(user.passwordHash, password))) return user;
  // Not in a transaction with the user's row: the account may have gone while the password was checked.
  await recordHappenings(db, [noted({ userId: user.id, type: 'password_refused', at: clock.now(), agent: origin })]);
  throw new Problem('wrong_password');
}
