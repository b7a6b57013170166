import type { Clock } from '../clock.ts';
import type { Queryable } from '../db/database.ts';
import type { MailKind } from '../db/schema.ts';
import { quietSeconds } from '../identity/disowned-addresses.ts';
import type { UserRow } from '../identity/users.ts';
import { coolDownSeconds, recentMails } from './cool-down.ts';
import { enqueueMail } from './outbox.ts';

/**
 * Queues a notice to the owner of an account about what has happened to it, inside the transaction of that.
 *
 * An address that was never confirmed may be a stranger's: it gets one of a kind a minute, five an hour and ten a day, so
 * that nobody can be pestered through an account that is not theirs, and none for a day after its owner has said so.
 */
export async function enqueueNotice(tx: Queryable, user: UserRow, kind: MailKind, clock: Clock): Promise<void> {
  if (user.confirmedAt === null) {
    const now = clock.now();
    const isTooMuch = coolDownSeconds(await recentMails(tx, user.id, kind), now) > 0;
    if (isTooMuch || (await quietSeconds(tx, user.emailCanonical, now)) > 0) return;
  }
  await enqueueMail(tx, { userId: user.id, kind, recipient: user.email }, clock);
}
