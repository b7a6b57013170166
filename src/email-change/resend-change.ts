import { lowerAscii } from '../credentials/email.ts';
import { type Origin, recordEvent } from '../identity/events.ts';
import { linkState, lockUser } from '../identity/users.ts';
import { coolDownSeconds, recentMails } from '../mail/cool-down.ts';
import { enqueueMail } from '../mail/outbox.ts';
import { Problem } from '../problems/problem.ts';
import type { Services } from '../services.ts';

/**
 * Sends another link to the address that an account waits for; within the same limits as confirmation mails.
 *
 * @throws Problem `used_token` when it waits for none any more
 * @throws Problem `rate_limited` within the cool-down, or when the address has been written to too often
 */
export async function resendEmailChange(
  { clock, config, db, limits, wakeMail }: Pick<Services, 'clock' | 'config' | 'db' | 'limits' | 'wakeMail'>,
  userId: string,
  origin: Origin,
): Promise<void> {
  await db.transaction(async (tx) => {
    const user = await lockUser(tx, userId);
    if (user?.pendingEmail == null) throw new Problem('used_token');
    const now = clock.now();
    const coolDown = config.rateLimit ? coolDownSeconds(await recentMails(tx, userId, 'email_change', now), now) : 0;
    const retryAfterSeconds = coolDown > 0 ? coolDown : await limits.recipients.countMail(tx, lowerAscii(user.pendingEmail), 'change');
    if (retryAfterSeconds > 0) throw new Problem('rate_limited', { retryAfterSeconds });
    await recordEvent(tx, userId, 'email_change_requested', origin, clock);
    const state = linkState['email-change'](user);
    await enqueueMail(tx, { userId, kind: 'email_change', recipient: user.pendingEmail, state }, clock);
  });
  wakeMail();
}
