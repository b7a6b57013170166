import { and, asc, eq, gt, inArray, isNull, lt, lte, ne, type Placeholder, sql } from 'drizzle-orm';
import { v4 as randomUuid, v7 as timeOrderedUuid } from 'uuid';
import type { Clock } from '../clock.ts';
import type { Queryable } from '../db/database.ts';
import type { MailKind, MailStatus } from '../db/kinds.ts';
import { prepared } from '../db/prepared.ts';
import { mails } from '../db/schema.ts';
import { databaseTime, databaseTimePlus, millisecondsFromNow } from '../db/time.ts';
import { eventColumns, eventColumnsOf, noted, recordedWith } from '../identity/events.ts';

export type MailRow = typeof mails.$inferSelect;

interface NewMail {
  readonly userId: string;
  readonly kind: MailKind;
  readonly recipient: string;
  /** What its link is signed over: the mail is pointless as soon as that has changed. */
  readonly state?: string;
}

const newMail = prepared('new_mail', ['id', 'userId', 'kind', 'recipient', 'state', 'createdAt', 'offset'], (db, { offset, ...row }) =>
  db.insert(mails).values({ ...row, dueAt: databaseTimePlus(offset) }),
);

/**
 * Puts a mail into the outbox, inside the caller's transaction: it is sent if, and only if, that commits.
 *
 * It holds no token; the worker mints one when it sends the mail.
 */
export async function enqueueMail(tx: Queryable, mail: NewMail, clock: Clock): Promise<void> {
  const id = timeOrderedUuid({ msecs: clock.now().getTime() });
  await newMail(tx, { id, state: null, ...mail, createdAt: clock.now(), offset: millisecondsFromNow(clock) });
}

const claimedMail = prepared('claimed_mail', ['lease', 'offset', 'leaseEnd'], (db, { lease, offset, leaseEnd }) => {
  const due = db
    .select({ id: mails.id })
    .from(mails)
    // Written out: a plan that serves any status cannot use the index of those that are queued.
    .where(and(sql`${mails.status} = 'queued'`, lte(mails.dueAt, databaseTimePlus(offset))))
    .orderBy(asc(mails.dueAt))
    .limit(1)
    .for('update', { skipLocked: true });
  return (
    db
      .update(mails)
      .set({ lease: sql`${lease}`, dueAt: databaseTimePlus(leaseEnd), attempts: sql`${mails.attempts} + 1` })
      // Not `in`: a plan may run the subquery of that again for each row, and claim as many.
      .where(eq(mails.id, due))
      .returning()
  );
});

/**
 * Takes the mail that has been due longest, for as long as the lease lasts; a worker that dies leaves it to the next.
 *
 * @returns undefined when nothing is due; otherwise the row with its `lease`, without which it cannot be settled
 */
export async function claimMail(db: Queryable, leaseSeconds: number, clock: Clock): Promise<MailRow | undefined> {
  const times = { offset: millisecondsFromNow(clock), leaseEnd: millisecondsFromNow(clock, leaseSeconds) };
  const [claimed] = await claimedMail(db, { lease: randomUuid(), ...times });
  return claimed;
}

export interface Settlement {
  readonly status: Exclude<MailStatus, 'queued'>;
  readonly error?: string;
}

const settlement = (
  db: Queryable,
  { mailId, lease, status, at, error }: Readonly<Record<(typeof settlementColumns)[number], Placeholder>>,
) =>
  db
    .update(mails)
    .set({ status: sql`${status}`, lease: null, settledAt: sql`${at}`, lastError: sql`${error}` })
    .where(and(eq(mails.id, mailId), eq(mails.lease, lease)))
    .returning({ userId: mails.userId });
const settlementColumns = ['mailId', 'lease', 'status', 'at', 'error'] as const;

const droppedMail = prepared('dropped_mail', settlementColumns, settlement);
const settledMail = prepared('settled_mail', [...settlementColumns, ...eventColumns], (db, values) => {
  const settled = db.$with('settled').as(settlement(db, values));
  const recorded = recordedWith(db, { rows: settled, userId: settled.userId }, values);
  return db.with(settled, recorded).select().from(settled);
});

/**
 * Records how a claimed mail ended, for its recipient, too, unless it was dropped. Does nothing for a worker whose lease
 * has gone to another.
 *
 * @returns whether it was this worker's to settle
 */
export async function settleMail(db: Queryable, claim: MailRow, { status, error }: Settlement, clock: Clock): Promise<boolean> {
  const columns = { mailId: claim.id, lease: claim.lease, status, error: error ?? null, at: clock.now() };
  if (status === 'dropped') return (await droppedMail(db, columns)).length > 0;
  const event = eventColumnsOf(noted({ userId: claim.userId, type: `${claim.kind}_mail_${status}`, at: columns.at, agent: undefined }));
  return (await settledMail(db, { ...columns, ...event })).length > 0;
}

/** Holds a claimed mail for longer. Does nothing for a worker whose lease has gone to another. */
export async function keepMail(db: Queryable, claim: MailRow, leaseSeconds: number, clock: Clock): Promise<void> {
  await db
    .update(mails)
    .set({ dueAt: databaseTime(clock, leaseSeconds) })
    .where(isHeldBy(claim));
}

interface Postponement {
  readonly delaySeconds: number;
  readonly error: string;
  /** Whether it was the server's fault: then it is due as soon as the server is back. */
  readonly awaitsServer: boolean;
  /** Whether this attempt counts towards how long the next one has to wait. */
  readonly counts: boolean;
}

/** Gives a claimed mail back, to be tried again later. Does nothing for a worker whose lease has gone to another. */
export async function postponeMail(db: Queryable, claim: MailRow, postponement: Postponement, clock: Clock): Promise<void> {
  const { delaySeconds, error, awaitsServer, counts } = postponement;
  await db
    .update(mails)
    .set({
      lease: null,
      dueAt: databaseTime(clock, delaySeconds),
      attempts: counts ? claim.attempts : claim.attempts - 1,
      lastError: error,
      awaitsServer,
    })
    .where(isHeldBy(claim));
}

/**
 * Makes due at once what only waits for the mail server to be back. What has been put off goes back to where it was, as if
 * for a quarter of an hour; what is due already, such as a mail that has been on trial, keeps its place behind those that
 * were due before it, so that none is always the first.
 */
export async function releaseMails(db: Queryable, clock: Clock): Promise<void> {
  const now = databaseTime(clock);
  const dueAt = sql`case when ${mails.dueAt} > ${now} then least(${now}, ${mails.dueAt} - interval '15 minutes') else ${mails.dueAt} end`;
  await db
    .update(mails)
    .set({ awaitsServer: false, dueAt })
    .where(and(eq(mails.status, 'queued'), isNull(mails.lease), eq(mails.awaitsServer, true)));
}

/** Longer than any mail is put off, or held. */
const longestWaitSeconds = 20 * 60;

/** Makes due what would have to wait for longer than anything does, since the database's clock has been put back. Answers 0: that is seldom. */
export async function releaseStranded(db: Queryable, clock: Clock): Promise<number> {
  await db
    .update(mails)
    .set({ dueAt: databaseTime(clock) })
    .where(and(sql`${mails.status} = 'queued'`, gt(mails.dueAt, databaseTime(clock, longestWaitSeconds))));
  return 0;
}

const keptForMs = 7 * 24 * 3600 * 1000;

/**
 * Deletes some of the mails that were settled more than 7 days ago.
 *
 * @returns how many there were
 */
export async function purgeMails(db: Queryable, clock: Clock, limit: number): Promise<number> {
  const before = new Date(clock.now().getTime() - keptForMs);
  const old = db
    .select({ id: mails.id })
    .from(mails)
    .where(and(ne(mails.status, 'queued'), lt(mails.settledAt, before)))
    .limit(limit)
    .for('update', { skipLocked: true });
  const deleted = await db.delete(mails).where(inArray(mails.id, old)).returning({ id: mails.id });
  return deleted.length;
}

function isHeldBy({ id, lease }: MailRow) {
  return and(eq(mails.id, id), eq(mails.lease, lease as string));
}
