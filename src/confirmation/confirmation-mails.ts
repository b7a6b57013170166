import { and, desc, eq } from 'drizzle-orm';
import type { Queryable } from '../db/database.ts';
import { mails, users } from '../db/schema.ts';
import { findUserById, type UserRow } from '../identity/users.ts';
import { enqueueMail, type MailRow } from '../mail/outbox.ts';
import { Problem } from '../problems/problem.ts';
import type { Services } from '../services.ts';

type Needs = Pick<Services, 'clock' | 'config' | 'db' | 'wakeMail'>;

/** No more than so many confirmation mails to one account in so long; what was sent at registration counts. */
const limits = [
  { mails: 1, withinSeconds: 60 },
  { mails: 5, withinSeconds: 3600 },
  { mails: 10, withinSeconds: 24 * 3600 },
];
const mostRelevant = Math.max(...limits.map((limit) => limit.mails));

/**
 * Sends another confirmation mail; the links of earlier ones go on working.
 *
 * The account's row is locked meanwhile: of parallel requests one sends, on whichever instances they are.
 *
 * @returns the seconds until another one may be asked for
 * @throws Problem `already_confirmed`
 * @throws Problem `rate_limited` within the cool-down
 */
export async function resendConfirmation(services: Needs, userId: string): Promise<number> {
  const { clock, config, db, wakeMail } = services;
  const retryAfter = await db.transaction(async (tx) => {
    await tx.select({ id: users.id }).from(users).where(eq(users.id, userId)).for('update');
    const user = await findUserById(tx, userId);
    if (user === undefined) throw new Problem('unauthenticated');
    if (user.confirmedAt !== null) throw new Problem('already_confirmed');
    const wait = coolDownSeconds(await recentMails(tx, user), clock.now());
    if (config.rateLimit && wait > 0) throw new Problem('rate_limited', { retryAfterSeconds: wait });
    await enqueueMail(tx, { userId, kind: 'confirmation', recipient: user.email }, clock);
    return config.rateLimit ? coolDownSeconds(await recentMails(tx, user), clock.now()) : 0;
  });
  wakeMail();
  return Math.ceil(retryAfter);
}

/** What became of the newest confirmation mail, and when another one may be asked for. */
export async function confirmationMailState({ clock, config, db }: Needs, user: UserRow) {
  const recent = await recentMails(db, user);
  const [newest] = recent;
  const now = clock.now();
  const wait = config.rateLimit ? coolDownSeconds(recent, now) : 0;
  return { newest, resendAvailableAt: new Date(now.getTime() + wait * 1000) };
}

/** Newest first. */
function recentMails(db: Queryable, user: UserRow): Promise<MailRow[]> {
  return db
    .select()
    .from(mails)
    .where(and(eq(mails.userId, user.id), eq(mails.kind, 'confirmation')))
    .orderBy(desc(mails.createdAt))
    .limit(mostRelevant);
}

function coolDownSeconds(newestFirst: readonly MailRow[], now: Date): number {
  const waits = limits.map(({ mails: most, withinSeconds }) => {
    const limiting = newestFirst[most - 1];
    return limiting === undefined ? 0 : withinSeconds - (now.getTime() - limiting.createdAt.getTime()) / 1000;
  });
  return Math.max(0, ...waits);
}
