import type { Queryable } from '../db/database.ts';
import { quietSeconds } from '../identity/disowned-addresses.ts';
import { type Origin, recordEvent } from '../identity/events.ts';
import { lockUser, type UserRow } from '../identity/users.ts';
import { coolDownSeconds, recentMails } from '../mail/cool-down.ts';
import { enqueueMail } from '../mail/outbox.ts';
import { Problem } from '../problems/problem.ts';
import type { Services } from '../services.ts';

type Needs = Pick<Services, 'clock' | 'config' | 'db' | 'limits' | 'wakeMail'>;

/**
 * Sends another confirmation mail; the links of earlier ones go on working.
 *
 * The account's row is locked meanwhile: of parallel requests one sends, on whichever instances they are.
 *
 * @returns the seconds until another one may be asked for
 * @throws Problem `already_confirmed`
 * @throws Problem `rate_limited` within the cool-down, or when the address has been written to too often
 */
export async function resendConfirmation(services: Needs, userId: string, origin: Origin): Promise<number> {
  const { clock, db, limits, wakeMail } = services;
  const retryAfter = await db.transaction(async (tx) => {
    const user = await lockUser(tx, userId);
    if (user === undefined) throw new Problem('unauthenticated');
    if (user.confirmedAt !== null) throw new Problem('already_confirmed');
    const { seconds } = await waitFor(services, tx, user);
    const retryAfterSeconds = seconds > 0 ? seconds : await limits.recipients.countMail(tx, user.emailCanonical);
    if (retryAfterSeconds > 0) throw new Problem('rate_limited', { retryAfterSeconds });
    await recordEvent(tx, userId, 'confirmation_requested', origin, clock);
    await enqueueMail(tx, { userId, kind: 'confirmation', recipient: user.email }, clock);
    return (await waitFor(services, tx, user)).seconds;
  });
  wakeMail();
  return Math.ceil(retryAfter);
}

/** What became of the newest confirmation mail, and when another one may be asked for. */
export async function confirmationMailState(services: Needs, user: UserRow) {
  const { clock, db, limits } = services;
  const { newest, seconds: ofAccount } = await waitFor(services, db, user);
  const seconds = Math.max(ofAccount, await limits.recipients.secondsToWait(db, user.emailCanonical));
  return { newest, resendAvailableAt: new Date(clock.now().getTime() + seconds * 1000) };
}

/** The newest confirmation mails, and how long it takes until another one may be sent. */
async function waitFor({ clock, config }: Needs, db: Queryable, user: UserRow) {
  const now = clock.now();
  const recent = await recentMails(db, user.id, 'confirmation', now);
  if (!config.rateLimit) return { newest: recent[0], seconds: 0 };
  const quiet = await quietSeconds(db, user.emailCanonical, now);
  return { newest: recent[0], seconds: Math.max(quiet, coolDownSeconds(recent, now)) };
}
