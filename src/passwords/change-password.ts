import { confirmationFaults } from '../credentials/new-password.ts';
import { requirePassword } from '../guard/current-password.ts';
import type { FoundSession } from '../guard/find-session.ts';
import { type Origin, recordEvents } from '../identity/events.ts';
import { forgetNetworks, rememberNetwork } from '../identity/known-networks.ts';
import { endOtherSessions } from '../identity/sessions.ts';
import { lockUnchangedUser, updateUser, voidPending } from '../identity/users.ts';
import { passwordChangeLimit } from '../limits/limits.ts';
import { enqueueNotice } from '../mail/notice.ts';
import { Problem } from '../problems/problem.ts';
import type { Services } from '../services.ts';
import type { PasswordChangeBody } from './schemas.ts';

type Needs = Pick<Services, 'clientDigests' | 'clock' | 'db' | 'hasher' | 'limits' | 'passwordPolicy' | 'revocations' | 'wakeMail'>;

/**
 * Changes the password of whoever is logged in, ends their other sessions, and tells them by mail.
 *
 * A pending address change and every mailed link that is signed over the old password are void. Of parallel changes
 * one wins; the others' current password is no longer the current one.
 *
 * @throws Problem `validation_failed` when the new password was typed in two ways
 * @throws Problem `wrong_password`, and `rate_limited` after too many of them or thirty changes an hour
 * @throws Problem `weak_password`
 * @throws Problem `service_unavailable` when too many passwords are being hashed
 */
export async function changePassword(services: Needs, session: FoundSession, body: PasswordChangeBody, origin: Origin): Promise<void> {
  const { clientDigests, clock, db, hasher, limits, passwordPolicy, revocations, wakeMail } = services;
  const { currentPassword, newPassword, newPasswordConfirmation } = body;
  const errors = confirmationFaults({ member: 'newPassword', password: newPassword, confirmation: newPasswordConfirmation });
  if (errors.length > 0) throw new Problem('validation_failed', { errors });
  const user = await requirePassword(services, session, currentPassword, origin);
  // By the names that the account has now: those of the session may be older.
  await passwordPolicy.requireStrong(newPassword, user);

  await limits.limiter.take([{ limit: passwordChangeLimit, subject: user.id }]);
  const passwordHash = await hasher.hash(newPassword);
  const ended = await db.transaction(async (tx) => {
    const current = await lockUnchangedUser(tx, user);
    if (current === undefined) throw new Problem('wrong_password');
    await updateUser(tx, user.id, { passwordHash, ...voidPending(current) });
    // Whoever knew the old password is a stranger now.
    await forgetNetworks(tx, user.id);
    await rememberNetwork(tx, user.id, clientDigests.of(origin.ip), clock.now());
    const others = await endOtherSessions(tx, user.id, session.id, clock);
    await recordEvents(tx, user.id, others.length > 0 ? ['password_changed', 'sessions_ended'] : ['password_changed'], origin, clock);
    await enqueueNotice(tx, services, current, 'password_changed');
    return others;
  });
  revocations.note(ended);
  wakeMail();
}
