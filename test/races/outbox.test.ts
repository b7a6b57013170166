import { eq, sql } from 'drizzle-orm';
import t, { type Test } from 'tap';
import { v7 as timeOrderedUuid } from 'uuid';
import type { Queryable } from '../../src/db/database.ts';
import { mails } from '../../src/db/schema.ts';
import { claimMail } from '../../src/mail/outbox.ts';
import { onServer } from '../support/database.ts';
import { eventually } from '../support/eventually.ts';
import { outboxEmpty } from '../support/held-clock.ts';
import { register } from '../support/person.ts';
import { startInstance, startService } from '../support/service.ts';
import { openTables } from '../support/tables.ts';

const skip = !onServer && 'needs a PostgreSQL server';

/** Puts mails to one account into the queue in one go, due now. */
async function fill(tables: Queryable, userId: string, count: number): Promise<void> {
  const now = new Date();
  const row = { userId, kind: 'password_changed' as const, createdAt: now, dueAt: now };
  const rows = Array.from({ length: count }, (_, index) => ({ ...row, id: timeOrderedUuid(), recipient: `queued${index}@example.com` }));
  await tables.insert(mails).values(rows);
}

/** As many as a run by hand asks for: the promise is for 10,000 and more. */
const queued = Number(process.env['TEST_QUEUED_MAILS'] ?? 1000);

for (const count of [2, 8]) {
  t.test(`Z22: ${count} instances send each of ${queued} mails once`, { skip, timeout: 30_000 + queued * 60 }, async (t) => {
    const service = await startService(t);
    for (let started = 1; started < count; started += 1) await startInstance(t, service.env, service.clock);
    const tables = openTables(t, service);
    const { id } = await register(service);
    await fill(tables, id, queued);
    await eventually('all are sent', async () => (await tables.$count(mails, eq(mails.status, 'queued'))) === 0, 20_000 + queued * 60);
    const { received } = service.mailServer;
    t.equal(received.length, queued + 1);
    t.equal(new Set(received.map(({ messageId }) => messageId)).size, queued + 1);
    const rows = await tables.select().from(mails);
    t.ok(rows.every(({ status, attempts }) => status === 'sent' && attempts === 1));
  });
}

t.test('a worker claims one mail, whatever plan the database has for it', { skip }, async (t: Test) => {
  const service = await startService(t);
  const tables = openTables(t, service);
  const { id } = await register(service);
  await outboxEmpty(tables);
  await service.app.close();
  await fill(tables, id, 20);
  const claimed = await tables.transaction(async (tx) => {
    for (const plan of ['hashjoin', 'hashagg', 'mergejoin', 'sort', 'material'])
      await tx.execute(sql.raw(`set local enable_${plan} = off`));
    await tx.execute(sql`analyze mails`);
    return claimMail(tx, 55, service.clock);
  });
  t.match(claimed, { status: 'queued', attempts: 1 });
  t.equal(await tables.$count(mails, sql`${mails.lease} is not null`), 1);
});
