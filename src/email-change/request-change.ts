import { and, eq, ne } from 'drizzle-orm';
import { type EmailAddress, parseEmail } from '../credentials/email.ts';
import type { Queryable } from '../db/database.ts';
import { users } from '../db/schema.ts';
import { requirePassword } from '../guard/current-password.ts';
import type { SessionIds } from '../guard/log-out.ts';
import { quietSeconds } from '../identity/disowned-addresses.ts';
import { type Origin, recordEvent } from '../identity/events.ts';
import { makeOverdueGiveWay } from '../identity/overdue-accounts.ts';
import { findUserByEmail, linkState, lockUnchangedUser, updateUser } from '../identity/users.ts';
import { emailChangeLimit } from '../limits/limits.ts';
import { hourlyLimitSeconds, recentMails } from '../mail/cool-down.ts';
import { enqueueNotice } from '../mail/notice.ts';
import { enqueueMail } from '../mail/outbox.ts';
import { Problem } from '../problems/problem.ts';
import type { Services } from '../services.ts';
import type { EmailChangeBody } from './schemas.ts';

type Needs = Pick<Services, 'clock' | 'config' | 'db' | 'hasher' | 'limits' | 'revocations' | 'wakeMail'>;

/**
 * Asks for another address: a link goes to the new one, a notice to the old one, which rules until the link is followed.
 *
 * Whatever was asked for before is void. The new address is not reserved: it may be taken by somebody else meanwhile.
 *
 * @returns the new address, as mail is sent to it
 * @throws Problem `validation_failed`
 * @throws Problem `wrong_password`
 * @throws Problem `email_taken`, by an account of anybody's, one's own included
 * @throws Problem `rate_limited` after ten questions an hour, five mails an hour or ten a day of this account, and when the
 *   address has been written to too often
 */
export async function requestEmailChange(services: Needs, session: SessionIds, body: EmailChangeBody, origin: Origin): Promise<string> {
  const { userId } = session;
  const { clock, config, db, limits, wakeMail } = services;
  const fault = { pointer: '/newEmail', code: 'format', message: 'must be an e-mail address' };
  const newEmail = parseEmail(body.newEmail);
  if (newEmail === undefined) throw new Problem('validation_failed', { errors: [fault] });
  // Before anything about other accounts is told.
  const user = await requirePassword(services, session, body.password, origin);
  await limits.limiter.take([{ limit: emailChangeLimit, subject: user.id }]);
  await makeOverdueGiveWay(services, and(eq(users.emailCanonical, newEmail.canonical), ne(users.id, userId)));
  if ((await findUserByEmail(db, newEmail.address)) !== undefined) {
    throw new Problem('email_taken', { errors: [{ pointer: '/newEmail', code: 'email_taken', message: 'is taken' }] });
  }

  await db.transaction(async (tx) => {
    const current = await lockUnchangedUser(tx, user);
    if (current === undefined) throw new Problem('wrong_password');
    const retryAfterSeconds = config.rateLimit ? await secondsToWait(services, tx, userId, newEmail) : 0;
    if (retryAfterSeconds > 0) throw new Problem('rate_limited', { retryAfterSeconds });
    const pending = { pendingEmail: newEmail.address, pendingEmailSince: clock.now() };
    const state = linkState['email-change'](await updateUser(tx, userId, pending));
    await recordEvent(tx, userId, 'email_change_requested', origin, clock);
    await enqueueMail(tx, { userId, kind: 'email_change', recipient: newEmail.address, state }, clock);
    await enqueueNotice(tx, services, current, 'email_change_requested');
  });
  wakeMail();
  return newEmail.address;
}

/** Nobody is to be written to again and again through accounts that are not theirs. */
async function secondsToWait({ clock, limits }: Needs, tx: Queryable, userId: string, { canonical }: EmailAddress): Promise<number> {
  const now = clock.now();
  return Math.max(
    hourlyLimitSeconds(await recentMails(tx, userId, 'email_change', now), now),
    await quietSeconds(tx, canonical, now),
    await limits.recipients.countMail(tx, canonical, 'change'),
  );
}
