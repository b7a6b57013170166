import type { Origin } from '../identity/events.ts';
import { findUserById, linkState, markConfirmed, type UserRow } from '../identity/users.ts';
import { Problem } from '../problems/problem.ts';
import type { Services } from '../services.ts';
import { confirmationOf } from '../telemetry.ts';
import type { ActionClaims } from '../tokens/action-token.ts';

export type ConfirmationStatus = 'confirmed' | 'already_confirmed';

export interface Confirmation {
  readonly user: UserRow;
  readonly status: ConfirmationStatus;
}

/**
 * Finds the account whose address a token proves. Changes nothing.
 *
 * @throws Problem `invalid_token` when forged, for another purpose, or for an address that the account no longer has
 * @throws Problem `expired_token` when `clock.now()` has reached the token's `exp`, or a signing key was revoked since it was signed
 */
export async function requireTokenOwner({ actionTokens, db }: Pick<Services, 'actionTokens' | 'db'>, token: string): Promise<UserRow> {
  return requireOwnerOf({ actionTokens, db }, actionTokens.confirmation.read(token));
}

/**
 * Finds the account whose address a token proves, or has proven while it lived: good for sending another one.
 *
 * @throws Problem `invalid_token` as {@link requireTokenOwner} does
 */
export async function requireFormerOwner({ actionTokens, db }: Pick<Services, 'actionTokens' | 'db'>, token: string): Promise<UserRow> {
  return requireOwnerOf({ actionTokens, db }, actionTokens.confirmation.peek(token));
}

async function requireOwnerOf({ actionTokens, db }: Pick<Services, 'actionTokens' | 'db'>, claims: ActionClaims): Promise<UserRow> {
  const user = await findUserById(db, claims.sub);
  if (user === undefined || !actionTokens.confirmation.isSignedOver(claims, linkState.confirmation(user)))
    throw new Problem('invalid_token');
  return user;
}

/**
 * Confirms the address of an account.
 *
 * Works any number of times: concurrent callers race on one UPDATE, the later ones see `already_confirmed`. Does not
 * check who is asking; the caller has matched the token's account with the session or the password.
 */
export async function confirmAddress(
  { clock, db, telemetry }: Pick<Services, 'clock' | 'db' | 'telemetry'>,
  owner: UserRow,
  origin: Origin,
): Promise<Confirmation> {
  const confirmed = await markConfirmed(db, owner, origin, clock);
  if (confirmed !== undefined) {
    telemetry.tell(confirmationOf(confirmed, clock.now()));
    return { user: confirmed, status: 'confirmed' };
  }
  const user = await findUserById(db, owner.id);
  if (user?.confirmedAt == null || user.emailCanonical !== owner.emailCanonical) throw new Problem('invalid_token');
  return { user, status: 'already_confirmed' };
}
