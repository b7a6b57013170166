import { and, eq, gt } from 'drizzle-orm';
import { mails, users } from '../db/schema.ts';
import { type Agent, recordEvent } from '../identity/events.ts';
import { enqueueMail } from '../mail/outbox.ts';
import type { Services } from '../services.ts';

const noticeEveryMs = 24 * 3600 * 1000;

/**
 * Tells the owner of a confirmed address, at most once a day, that somebody tried to register with it.
 *
 * An unconfirmed address gets nothing: nobody has shown yet that its owner has to do with the account.
 */
export async function noticeAttempt(
  { clock, db, wakeMail }: Pick<Services, 'clock' | 'db' | 'wakeMail'>,
  emailCanonical: string,
  agent: Agent,
): Promise<void> {
  await db.transaction(async (tx) => {
    // The lock makes parallel attempts count each other.
    const [owner] = await tx.select().from(users).where(eq(users.emailCanonical, emailCanonical)).for('no key update');
    if (owner === undefined || owner.confirmedAt === null) return;
    const since = new Date(clock.now().getTime() - noticeEveryMs);
    const recent = and(eq(mails.userId, owner.id), eq(mails.kind, 'registration_attempt'), gt(mails.createdAt, since));
    if ((await tx.select({ id: mails.id }).from(mails).where(recent).limit(1)).length > 0) return;
    await recordEvent(tx, owner.id, 'registration_attempted', agent, clock);
    await enqueueMail(tx, { userId: owner.id, kind: 'registration_attempt', recipient: owner.email }, clock);
  });
  wakeMail();
}
