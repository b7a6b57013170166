import { randomUUID } from 'node:crypto';
import { mkdir } from 'node:fs/promises';
import { eq } from 'drizzle-orm';
import t, { type Test } from 'tap';
import type { Queryable } from '../../src/db/database.ts';
import { openDatabase } from '../../src/db/open.ts';
import { mails, users } from '../../src/db/schema.ts';
import { claimMail, enqueueMail, type MailRow, postponeMail, purgeMails, releaseMails, settleMail } from '../../src/mail/outbox.ts';
import { queueStatus, retryMail } from '../../src/mail/queue-status.ts';
import { ManualClock } from '../support/clock.ts';
import { createDatabase } from '../support/database.ts';

const leaseSeconds = 55;

/** A database with one user, and no service that would send the mails. */
async function openOutbox(t: Test) {
  const { DATA_DIR = '', DATABASE_URL } = await createDatabase(t);
  await mkdir(DATA_DIR, { recursive: true });
  const database = await openDatabase({ url: DATABASE_URL, dataDir: DATA_DIR, announce: () => {}, onIdleError: () => {} });
  t.teardown(() => database.close());
  const userId = randomUUID();
  const names = { email: 'ada@example.com', emailCanonical: 'ada@example.com', username: 'ada', usernameCanonical: 'ada' };
  await database.db.insert(users).values({ id: userId, ...names, passwordHash: '', createdAt: new Date() });
  return { db: database.db, userId };
}

t.test('the outbox', async (t) => {
  const { db, userId } = await openOutbox(t);
  const enqueue = (recipient: string, clock: ManualClock) => enqueueMail(db, { userId, kind: 'confirmation', recipient }, clock);
  const rowOf = async ({ id }: MailRow) => (await db.select().from(mails).where(eq(mails.id, id)))[0];
  t.beforeEach(() => db.delete(mails));

  t.test('gives out one mail at a time, the longest due first, and each to one worker', async (t) => {
    const clock = new ManualClock();
    for (const recipient of ['first@example.com', 'second@example.com', 'third@example.com']) {
      await enqueue(recipient, clock);
      clock.advance({ seconds: 1 });
    }
    const claims = [await claim(db, clock), await claim(db, clock), await claim(db, clock)];
    t.strictSame(
      claims.map(({ recipient, attempts }) => [recipient, attempts]),
      [
        ['first@example.com', 1],
        ['second@example.com', 1],
        ['third@example.com', 1],
      ],
    );
    t.equal(new Set(claims.map(({ lease }) => lease)).size, 3);
    t.equal(await claimMail(db, leaseSeconds, clock), undefined, 'all of them are held');
  });

  t.test('gives out nothing before it is due', async (t) => {
    const clock = new ManualClock();
    clock.advance({ minutes: 1 });
    await enqueue('later@example.com', clock);
    clock.advance({ minutes: -1 });
    t.equal(await claimMail(db, leaseSeconds, clock), undefined);
    clock.advance({ minutes: 1 });
    t.equal((await claim(db, clock)).recipient, 'later@example.com');
  });

  t.test('takes nothing from a worker that has lost its lease to another', async (t) => {
    const clock = new ManualClock();
    await enqueue('ada@example.com', clock);
    const slow = await claim(db, clock);
    clock.advance({ seconds: leaseSeconds - 5 });
    t.equal(await claimMail(db, leaseSeconds, clock), undefined, 'the lease still holds');
    clock.advance({ seconds: 6 });
    const quick = await claim(db, clock);
    t.equal(quick.id, slow.id);

    await settleMail(db, slow, { status: 'failed', error: 'too late' }, clock);
    await postponeMail(db, slow, { delaySeconds: 0, error: 'too late', awaitsServer: true, counts: false }, clock);
    t.match(await rowOf(slow), {
      status: 'queued',
      lease: quick.lease,
      attempts: 2,
      lastError: null,
      awaitsServer: false,
      settledAt: null,
    });

    await settleMail(db, quick, { status: 'sent' }, clock);
    await settleMail(db, slow, { status: 'failed', error: 'later still' }, clock);
    t.match(await rowOf(slow), { status: 'sent', lease: null, lastError: null, settledAt: Date });
  });

  t.test('makes due at once what awaited the server, and nothing else', async (t) => {
    const clock = new ManualClock();
    for (const recipient of ['server@example.com', 'own@example.com', 'held@example.com']) await enqueue(recipient, clock);
    const awaiting = await claim(db, clock);
    const own = await claim(db, clock);
    const held = await claim(db, clock);
    await postponeMail(db, awaiting, { delaySeconds: 600, error: 'refused', awaitsServer: true, counts: true }, clock);
    await postponeMail(db, own, { delaySeconds: 600, error: 'greylisted', awaitsServer: false, counts: true }, clock);
    t.equal(await claimMail(db, leaseSeconds, clock), undefined);

    await releaseMails(db, clock);
    t.match(await claim(db, clock), { id: awaiting.id, attempts: 2, awaitsServer: false });
    t.equal(await claimMail(db, leaseSeconds, clock), undefined);
    t.match(await rowOf(held), { lease: held.lease });
    clock.advance({ seconds: 601 });
    const ids = [await claim(db, clock), await claim(db, clock), await claim(db, clock)].map(({ id }) => id);
    t.ok(ids.includes(own.id));
  });

  t.test('puts what has been on trial for the server behind what has not', async (t) => {
    const clock = new ManualClock();
    for (const recipient of ['first@example.com', 'second@example.com']) await enqueue(recipient, clock);
    const first = await claim(db, clock);
    clock.advance({ seconds: 5 });
    await postponeMail(db, first, { delaySeconds: 0, error: 'no login', awaitsServer: true, counts: false }, clock);
    clock.advance({ seconds: 5 });
    await releaseMails(db, clock);
    const second = await claim(db, clock);
    t.not(second.id, first.id);
    t.match(await claim(db, clock), { id: first.id, attempts: 1 });
  });

  t.test('forgets what was settled a week ago, in batches, and never what is queued', async (t) => {
    const clock = new ManualClock();
    const row = { userId, kind: 'confirmation' as const, recipient: 'ada@example.com', createdAt: clock.now(), dueAt: clock.now() };
    const old = Array.from({ length: 600 }, () => ({ ...row, id: randomUUID(), status: 'sent' as const, settledAt: clock.now() }));
    await db.insert(mails).values(old);
    await db.insert(mails).values(['failed', 'dropped'].map((status) => ({ ...old[0], ...row, id: randomUUID(), status }) as never));
    await enqueue('queued@example.com', clock);

    clock.advance({ days: 7, seconds: -5 });
    t.equal(await purgeMails(db, clock, 500), 0);
    t.equal(await db.$count(mails), 603, 'a week is not over');
    await db.insert(mails).values({ ...row, id: randomUUID(), status: 'sent', settledAt: clock.now() });

    clock.advance({ seconds: 10 });
    t.equal(await purgeMails(db, clock, 500), 500, 'there may be more');
    t.equal(await purgeMails(db, clock, 500), 102);
    const left = await db.select().from(mails);
    t.strictSame(left.map(({ status }) => status).sort(), ['queued', 'sent'], 'the queued one, and the young one');
  });

  t.test('tells how it is, and takes back a mail that had failed', async (t) => {
    const clock = new ManualClock();
    t.match(await queueStatus(db, clock), { queued: 0, sent: 0, failed: 0, dropped: 0, oldestQueuedSeconds: null, failures: [] });
    await enqueue('bad@example.com', clock);
    const bad = await claim(db, clock);
    await settleMail(db, bad, { status: 'failed', error: 'no such mailbox' }, clock);
    clock.advance({ hours: 1 });
    const began = clock.now();
    clock.now = () => began;
    await enqueue('waiting@example.com', clock);
    clock.now = () => new Date(began.getTime() + 90_000);
    t.match(await queueStatus(db, clock), {
      queued: 1,
      failed: 1,
      oldestQueuedSeconds: 90,
      failures: [{ id: bad.id, kind: 'confirmation', recipient: 'bad@example.com', lastError: 'no such mailbox' }],
    });

    t.equal(await retryMail(db, randomUUID(), clock), false);
    const waiting = await claim(db, clock);
    t.equal(await retryMail(db, waiting.id, clock), false, 'it has not failed');
    t.equal(await retryMail(db, bad.id, clock), true);
    t.match(await claim(db, clock), { id: bad.id, status: 'queued', attempts: 1, settledAt: null }, 'with all its attempts');
  });
});

async function claim(db: Queryable, clock: ManualClock): Promise<MailRow> {
  const claimed = await claimMail(db, leaseSeconds, clock);
  if (claimed === undefined) throw new Error('nothing is due');
  return claimed;
}
