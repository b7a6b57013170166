import { confirmationFaults } from '../credentials/new-password.ts';
import type { EventType } from '../db/kinds.ts';
import { type Origin, recordEvents } from '../identity/events.ts';
import { forgetNetworks, rememberNetwork } from '../identity/known-networks.ts';
import { endAllSessions } from '../identity/sessions.ts';
import { findUserById, linkState, lockUnchangedUser, type UserRow, updateUser, voidPending } from '../identity/users.ts';
import { enqueueMail } from '../mail/outbox.ts';
import { Problem } from '../problems/problem.ts';
import type { Services } from '../services.ts';
import { confirmationOf } from '../telemetry.ts';
import type { ResetBody } from './schemas.ts';

type Needs = Pick<
  Services,
  'actionTokens' | 'clientDigests' | 'clock' | 'db' | 'hasher' | 'passwordPolicy' | 'revocations' | 'telemetry' | 'wakeMail'
>;

/**
 * Sets a new password with the token of a mailed link, which thereby is spent.
 *
 * Whoever can read the mailbox takes the account back: every session ends, whatever was pending is void, and the
 * address counts as confirmed. Nobody is logged in. A password that is refused does not spend the token; of parallel
 * uses one wins.
 *
 * @throws Problem `invalid_token` when forged or for another purpose
 * @throws Problem `expired_token` when `clock.now()` has reached the token's `exp`, or a signing key was revoked since it was signed
 * @throws Problem `used_token` when it was used, or the password or address has been changed since
 * @throws Problem `validation_failed` or `weak_password` for the new password
 * @throws Problem `service_unavailable` when too many passwords are being hashed
 */
export async function resetPassword(services: Needs, body: ResetBody, origin: Origin): Promise<void> {
  const { clientDigests, clock, db, hasher, passwordPolicy, revocations, telemetry, wakeMail } = services;
  const { token, newPassword, newPasswordConfirmation } = body;
  const errors = confirmationFaults({ member: 'newPassword', password: newPassword, confirmation: newPasswordConfirmation });
  if (errors.length > 0) throw new Problem('validation_failed', { errors });
  const { owner } = await requireResetToken(services, token);
  await passwordPolicy.requireStrong(newPassword, owner);

  const passwordHash = await hasher.hash(newPassword);
  const ended = await db.transaction(async (tx) => {
    const current = await lockUnchangedUser(tx, owner);
    if (current === undefined) throw new Problem('used_token');
    const confirmedAt = current.confirmedAt ?? clock.now();
    await updateUser(tx, owner.id, { passwordHash, confirmedAt, ...voidPending(current) });
    // An owner who is locked out by somebody's guesses, on a device that is not known yet, gets in from here.
    await forgetNetworks(tx, owner.id);
    await rememberNetwork(tx, owner.id, clientDigests.of(origin.ip), clock.now());
    const sessions = await endAllSessions(tx, owner.id, clock);
    const types: EventType[] = ['password_reset'];
    if (current.confirmedAt === null) types.push('confirmed');
    if (sessions.length > 0) types.push('sessions_ended');
    await recordEvents(tx, owner.id, types, origin, clock);
    await enqueueMail(tx, { userId: owner.id, kind: 'password_changed', recipient: owner.email }, clock);
    return sessions;
  });
  revocations.note(ended);
  if (owner.confirmedAt === null) telemetry.tell(confirmationOf(owner, clock.now()));
  wakeMail();
}

interface ResetToken {
  readonly owner: UserRow;
  readonly expiresAt: Date;
}

/**
 * Finds the account that a token may set a new password for. Changes nothing.
 *
 * @throws Problem `invalid_token`, `expired_token` or `used_token`, as {@link resetPassword} does
 */
export async function requireResetToken({ actionTokens, db }: Pick<Services, 'actionTokens' | 'db'>, token: string): Promise<ResetToken> {
  const tokens = actionTokens['password-reset'];
  const claims = tokens.read(token);
  const user = await findUserById(db, claims.sub);
  if (user === undefined) throw new Problem('invalid_token');
  if (user.disabledAt !== null || !tokens.isSignedOver(claims, linkState['password-reset'](user))) throw new Problem('used_token');
  return { owner: user, expiresAt: new Date(claims.exp * 1000) };
}
