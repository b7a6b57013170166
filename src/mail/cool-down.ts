import { and, desc, eq, lte } from 'drizzle-orm';
import type { Queryable } from '../db/database.ts';
import type { MailKind } from '../db/kinds.ts';
import { mails } from '../db/schema.ts';
import type { MailRow } from './outbox.ts';

/** No more than so many mails of one kind in so long, on request; those that came by themselves count. */
const perHourAndDay = [
  { mails: 5, withinSeconds: 3600 },
  { mails: 10, withinSeconds: 24 * 3600 },
];
const withPause = [{ mails: 1, withinSeconds: 60 }, ...perHourAndDay];
const mostRelevant = Math.max(...withPause.map((limit) => limit.mails));

/** By how much another instance's clock may be ahead; a mail of a later time is from before a clock was put back. */
const longestSkewMs = 5 * 60 * 1000;

/** The newest mails of one kind to an account, newest first: as many as the cool-down depends on. */
export function recentMails(db: Queryable, userId: string, kind: MailKind, now: Date): Promise<MailRow[]> {
  const isOne = and(eq(mails.userId, userId), eq(mails.kind, kind), lte(mails.createdAt, new Date(now.getTime() + longestSkewMs)));
  return db.select().from(mails).where(isOne).orderBy(desc(mails.createdAt)).limit(mostRelevant);
}

/** The newest mail of one kind to an account, whichever clock has made it. */
export async function newestMail(db: Queryable, userId: string, kind: MailKind): Promise<MailRow | undefined> {
  const isOne = and(eq(mails.userId, userId), eq(mails.kind, kind));
  const [newest] = await db.select().from(mails).where(isOne).orderBy(desc(mails.createdAt)).limit(1);
  return newest;
}

/** How many seconds there are until another mail may be asked for; 0 when it may be now: a minute after the last. */
export function coolDownSeconds(newestFirst: readonly MailRow[], now: Date): number {
  return secondsUntil(withPause, newestFirst, now);
}

/** {@link coolDownSeconds}, for somebody who has mistyped, and must not be made to wait. */
export function hourlyLimitSeconds(newestFirst: readonly MailRow[], now: Date): number {
  return secondsUntil(perHourAndDay, newestFirst, now);
}

function secondsUntil(limits: typeof withPause, newestFirst: readonly MailRow[], now: Date): number {
  const waits = limits.map(({ mails: most, withinSeconds }) => {
    const limiting = newestFirst[most - 1];
    return limiting === undefined ? 0 : withinSeconds - (now.getTime() - limiting.createdAt.getTime()) / 1000;
  });
  return Math.max(0, ...waits);
}
