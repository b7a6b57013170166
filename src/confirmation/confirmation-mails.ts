import type { Queryable } from '../db/database.ts';
import { quietSeconds } from '../identity/disowned-addresses.ts';
import { type Origin, recordEvent } from '../identity/events.ts';
import { lockUser, type UserRow } from '../identity/users.ts';
import { coolDownSeconds, newestMail, recentMails } from '../mail/cool-down.ts';
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
    const seconds = await secondsToWait(services, tx, user);
    const retryAfterSeconds = seconds > 0 ? seconds : await limits.recipients.countMail(tx, user.emailCanonical);
    if (retryAfterSeconds > 0) throw new Problem('rate_limited', { retryAfterSeconds });
    await recordEvent(tx, userId, 'confirmation_requested', origin, clock);
    await enqueueMail(tx, { userId, kind: 'confirmation', recipient: user.email }, clock);
    return secondsToWait(services, tx, user);
  });
  wakeMail();
  return Math.ceil(retryAfter);
}

/** What became of the newest confirmation mail, and when another one may be asked for. */
export async function confirmationMailState(services: Needs, user: UserRow) {
  const { clock, db } = services;
  const seconds = await secondsToWait(services, db, user);
  // By its own clock at worst: better than none.
  const [recent] = await recentMails(db, user.id, 'confirmation', clock.now());
  const newest = recent ?? (await newestMail(db, user.id, 'confirmation'));
  return { newest, resendAvailableAt: new Date(clock.now().getTime() + seconds * 1000) };
}

/** How long it takes until another confirmation mail may be sent. */
async function secondsToWait({ clock, config, limits }: Needs, db: Queryable, { id, emailCanonical }: UserRow): Promise<number> {
  if (!config.rateLimit) return 0;
  const now = clock.now();
  return Math.max(
    coolDownSeconds(await recentMails(db, id, 'confirmation', now), now),
    await quietSeconds(db, emailCanonical, now),
    await limits.recipients.secondsToWait(db, emailCanonical),
  );
}
