import { and, eq, ne } from 'drizzle-orm';
import { lowerAscii } from '../credentials/email.ts';
import { violatedConstraint } from '../db/database.ts';
import { users } from '../db/schema.ts';
import { type Origin, recordEvents } from '../identity/events.ts';
import { makeOverdueGiveWay } from '../identity/overdue-accounts.ts';
import { findUserById, linkState, lockUnchangedUser, type UserRow, updateUser, voidPending } from '../identity/users.ts';
import { enqueueNotice } from '../mail/notice.ts';
import { Problem } from '../problems/problem.ts';
import type { Services } from '../services.ts';
import { confirmationOf } from '../telemetry.ts';
import type { ActionClaims } from '../tokens/action-token.ts';

const stateOf = linkState['email-change'];

/**
 * Finds the account that a token may give another address. Changes nothing.
 *
 * @throws Problem `invalid_token` when forged or for another purpose
 * @throws Problem `expired_token` when `clock.now()` has reached the token's `exp`, or a signing key was revoked since it was signed
 * @throws Problem `used_token` when it was used, another address was asked for, or the password or address was changed
 */
export async function requireTokenOwner({ actionTokens, db }: Pick<Services, 'actionTokens' | 'db'>, token: string): Promise<UserRow> {
  return requireOwnerOf({ actionTokens, db }, actionTokens['email-change'].read(token));
}

/**
 * Finds the account that a token may give another address, or might have while it lived: good for sending another one.
 *
 * @throws Problem `invalid_token` or `used_token` as {@link requireTokenOwner} does
 */
export async function requireFormerOwner({ actionTokens, db }: Pick<Services, 'actionTokens' | 'db'>, token: string): Promise<UserRow> {
  return requireOwnerOf({ actionTokens, db }, actionTokens['email-change'].peek(token));
}

async function requireOwnerOf({ actionTokens, db }: Pick<Services, 'actionTokens' | 'db'>, claims: ActionClaims): Promise<UserRow> {
  const user = await findUserById(db, claims.sub);
  if (user === undefined) throw new Problem('invalid_token');
  if (user.disabledAt !== null || !actionTokens['email-change'].isSignedOver(claims, stateOf(user))) throw new Problem('used_token');
  return user;
}

/**
 * Gives an account the address that it has been waiting for, confirmed, and tells the old one.
 *
 * All links that were mailed before are void; of parallel callers one wins. Does not check who is asking; the caller has
 * matched the token's account with the session or the password.
 *
 * @throws Problem `used_token` when another request came first
 * @throws Problem `email_taken` when the address went to somebody else meanwhile; the link works once it is free
 */
export async function confirmEmailChange(
  services: Pick<Services, 'clock' | 'config' | 'db' | 'limits' | 'revocations' | 'telemetry' | 'wakeMail'>,
  owner: UserRow,
  origin: Origin,
): Promise<UserRow> {
  const { clock, db, telemetry, wakeMail } = services;
  const wanted = lowerAscii(owner.pendingEmail ?? '');
  await makeOverdueGiveWay(services, and(eq(users.emailCanonical, wanted), ne(users.id, owner.id)));
  try {
    const changed = await db.transaction(async (tx) => {
      const current = await lockUnchangedUser(tx, owner);
      if (current?.pendingEmail == null || stateOf(current) !== stateOf(owner)) throw new Problem('used_token');
      const email = current.pendingEmail;
      const address = { email, emailCanonical: lowerAscii(email), confirmedAt: clock.now() };
      const user = await updateUser(tx, owner.id, { ...address, ...voidPending(current) });
      await recordEvents(tx, owner.id, current.confirmedAt === null ? ['email_changed', 'confirmed'] : ['email_changed'], origin, clock);
      await enqueueNotice(tx, services, current, 'email_changed');
      return user;
    });
    if (owner.confirmedAt === null) telemetry.tell(confirmationOf(owner, clock.now()));
    wakeMail();
    return changed;
  } catch (cause) {
    throw violatedConstraint(cause) === 'users_email_key' ? new Problem('email_taken', { cause }) : cause;
  }
}
