import type { Clock } from '../clock.ts';
import type { Queryable } from '../db/database.ts';
import type { MailKind } from '../db/kinds.ts';
import { quietSeconds } from '../identity/disowned-addresses.ts';
import type { UserRow } from '../identity/users.ts';
import type { Limits } from '../limits/create-limits.ts';
import { coolDownSeconds, recentMails } from './cool-down.ts';
import { enqueueMail } from './outbox.ts';

interface Needs {
  readonly clock: Clock;
  readonly limits: Pick<Limits, 'isOn' | 'recipients'>;
}

/**
 * Queues a notice to the owner of an account about what has happened to it, inside the transaction of that.
 *
 * An address that was never confirmed may be a stranger's: it gets one of a kind a minute, five an hour and ten a day, so
 * that nobody can be pestered through an account that is not theirs, and none for a day after its owner has said so.
 */
export async function enqueueNotice(tx: Queryable, needs: Needs, user: UserRow, kind: MailKind): Promise<void> {
  if (user.confirmedAt === null && !(await mayBeWrittenTo(tx, needs, user, kind))) return;
  await enqueueMail(tx, { userId: user.id, kind, recipient: user.email }, needs.clock);
}

async function mayBeWrittenTo(tx: Queryable, { clock, limits }: Needs, { id, emailCanonical }: UserRow, kind: MailKind): Promise<boolean> {
  if (!limits.isOn) return true;
  const now = clock.now();
  if (coolDownSeconds(await recentMails(tx, id, kind, now), now) > 0) return false;
  if ((await quietSeconds(tx, emailCanonical, now)) > 0) return false;
  return (await limits.recipients.countMail(tx, emailCanonical)) === 0;
}
