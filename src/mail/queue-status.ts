import { and, asc, count, desc, eq, min } from 'drizzle-orm';
import { unionAll } from 'drizzle-orm/pg-core';
import type { Clock } from '../clock.ts';
import type { Queryable } from '../db/database.ts';
import type { MailStatus } from '../db/kinds.ts';
import { mails } from '../db/schema.ts';
import { databaseTime } from '../db/time.ts';

interface QueueStatus extends Readonly<Record<MailStatus, number>> {
  /** How long the mail that has been waiting longest has been waiting; null when none is. */
  readonly oldestQueuedSeconds: number | null;
  /** The newest of those that could not be delivered. */
  readonly failures: readonly { id: string; kind: string; recipient: string; settledAt: string | null; lastError: string | null }[];
}

const shownFailures = 20;

/**
 * How many mails wait, since when the oldest of them does, and how many could not be delivered: one query, which looks at
 * these mails alone, by indexes. Where most mails wait, each is counted: 100,000 take PostgreSQL some 50 ms.
 */
export async function measureQueue(db: Queryable): Promise<{ queued: number; failed: number; oldestQueuedAt: Date | null }> {
  const of = (status: MailStatus) =>
    db
      .select({ status: mails.status, count: count(), oldest: min(mails.createdAt) })
      .from(mails)
      .where(eq(mails.status, status))
      .groupBy(mails.status);
  const rows = await unionAll(of('queued'), of('failed'));
  const [queued, failed] = (['queued', 'failed'] as const).map((status) => rows.find((row) => row.status === status));
  return { queued: queued?.count ?? 0, failed: failed?.count ?? 0, oldestQueuedAt: queued?.oldest ?? null };
}

/** What is in the outbox. */
export async function queueStatus(db: Queryable, clock: Clock): Promise<QueueStatus> {
  const counts = await db.select({ status: mails.status, count: count() }).from(mails).groupBy(mails.status).orderBy(asc(mails.status));
  const { oldestQueuedAt: since } = await measureQueue(db);
  const failed = await db.select().from(mails).where(eq(mails.status, 'failed')).orderBy(desc(mails.settledAt)).limit(shownFailures);
  const of = (status: MailStatus) => counts.find((row) => row.status === status)?.count ?? 0;
  return {
    queued: of('queued'),
    sent: of('sent'),
    failed: of('failed'),
    dropped: of('dropped'),
    oldestQueuedSeconds: since === null ? null : Math.round((clock.now().getTime() - since.getTime()) / 1000),
    failures: failed.map(({ id, kind, recipient, settledAt, lastError }) => ({
      id,
      kind,
      recipient,
      settledAt: settledAt?.toISOString() ?? null,
      lastError,
    })),
  };
}

/** Puts a mail that was given up back into the queue, due at once. Answers whether there was one. */
export async function retryMail(db: Queryable, id: string, clock: Clock): Promise<boolean> {
  const retried = await db
    .update(mails)
    .set({ status: 'queued', attempts: 0, settledAt: null, createdAt: clock.now(), dueAt: databaseTime(clock) })
    .where(and(eq(mails.id, id), eq(mails.status, 'failed')))
    .returning({ id: mails.id });
  return retried.length > 0;
}
