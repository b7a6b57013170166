import { requirePassword } from '../guard/current-password.ts';
import type { SessionIds } from '../guard/log-out.ts';
import { lockAmongAdministrators, removeUser } from '../identity/administrators.ts';
import type { Origin } from '../identity/events.ts';
import { Problem } from '../problems/problem.ts';
import type { Services } from '../services.ts';

/**
 * Deletes the account of whoever is logged in, with its sessions, events and mails; those that wait are not sent.
 *
 * @throws Problem `wrong_password`, and `rate_limited` after too many of them
 * @throws Problem `last_administrator`
 * @throws Problem `unauthenticated` when the account has gone since the session was checked
 * @throws Problem `service_unavailable` when too many passwords are being checked
 */
export async function deleteAccount(
  services: Pick<Services, 'clock' | 'db' | 'hasher' | 'limits' | 'revocations'>,
  session: SessionIds,
  password: string,
  origin: Origin,
): Promise<void> {
  const { userId } = session;
  const { clock, db, revocations } = services;
  const user = await requirePassword(services, session, password, origin);
  const ended = await db.transaction(async (tx) => {
    const current = await lockAmongAdministrators(tx, userId);
    if (current === undefined) throw new Problem('unauthenticated');
    if (current.credentialVersion !== user.credentialVersion) throw new Problem('wrong_password');
    return removeUser(tx, current, clock);
  });
  revocations.note(ended);
}
