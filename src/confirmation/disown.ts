import { lockAmongAdministrators, removeUser } from '../identity/administrators.ts';
import { disownAddress } from '../identity/disowned-addresses.ts';
import { findUserById, linkState, type UserRow } from '../identity/users.ts';
import { Problem } from '../problems/problem.ts';
import type { Services } from '../services.ts';

/**
 * Finds the account that somebody who reads the mails of its address may cancel. Changes nothing.
 *
 * @throws Problem `invalid_token` when forged, for another purpose, or for an address that the account no longer has
 * @throws Problem `expired_token`
 * @throws Problem `already_confirmed`
 */
export async function requireDisownable({ actionTokens, db }: Pick<Services, 'actionTokens' | 'db'>, token: string): Promise<UserRow> {
  const claims = actionTokens.disown.read(token);
  const user = await findUserById(db, claims.sub);
  if (user === undefined || !actionTokens.disown.isSignedOver(claims, linkState.disown(user))) throw new Problem('invalid_token');
  if (user.confirmedAt !== null) throw new Problem('already_confirmed');
  return user;
}

/**
 * Cancels an account whose address belongs to somebody who did not register: it is deleted with its sessions, and the
 * address gets no confirmation mail for a day.
 *
 * A confirmation that comes in between wins.
 *
 * @throws Problem as {@link requireDisownable} does
 */
export async function disown(services: Pick<Services, 'actionTokens' | 'clock' | 'db' | 'revocations'>, token: string): Promise<UserRow> {
  const { clock, db, revocations } = services;
  const owner = await requireDisownable(services, token);
  const ended = await db.transaction(async (tx) => {
    const user = await lockAmongAdministrators(tx, owner.id);
    if (user?.emailCanonical !== owner.emailCanonical) throw new Problem('invalid_token');
    if (user.confirmedAt !== null) throw new Problem('already_confirmed');
    await disownAddress(tx, user.emailCanonical, clock);
    return removeUser(tx, user, clock);
  });
  revocations.note(ended);
  return owner;
}
