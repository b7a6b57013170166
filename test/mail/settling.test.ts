import { sql } from 'drizzle-orm';
import type { FastifyBaseLogger } from 'fastify';
import t from 'tap';
import type { Queryable } from '../../src/db/database.ts';
import { createMailWorker } from '../../src/mail/worker.ts';
import { eventually } from '../support/eventually.ts';
import { mailRow, settled } from '../support/outbox.ts';
import { register } from '../support/person.ts';
import { startService } from '../support/service.ts';
import { openTables } from '../support/tables.ts';
import { compose, startWithUnsentMail } from '../support/unsent-mail.ts';

/** Has the database refuse what is written to a table, when a condition on the row that it would be is true, until the trigger is dropped. */
async function refuse(tables: Queryable, what: 'insert on events' | 'update on mails', condition: string): Promise<void> {
  const complaint = "begin raise exception 'as the test wants it'; end";
  await tables.execute(sql.raw(`create or replace function refuse() returns trigger language plpgsql as $$${complaint}$$`));
  await tables.execute(
    sql.raw(`create or replace trigger refusal before ${what} for each row when (${condition}) execute function refuse()`),
  );
}

/** That a mail was sent cannot be written down from now on. */
const refuseEvents = (tables: Queryable) => refuse(tables, 'insert on events', "new.type like '%mail_sent'");

t.test('a mail that was sent while the database cannot be told is held until it can, and not sent again', async (t) => {
  const service = await startService(t);
  const tables = openTables(t, service);
  await refuseEvents(tables);
  const { email } = await register(service);
  await service.mailServer.mailTo(email);

  // Twice half a lease and more: without being held, it would be due again by then.
  for (const _ of [1, 2]) {
    const { dueAt, attempts } = await mailRow(tables, email);
    t.equal(attempts, 1, 'nobody has taken it again');
    service.clock.advance({ seconds: 30 });
    await eventually('it is held for longer', async () => (await mailRow(tables, email)).dueAt.getTime() - dueAt.getTime() > 29_000);
  }
  await tables.execute(sql`drop trigger refusal on events`);
  t.match(await settled(tables, email, 'sent'), { attempts: 1, lease: null });
  t.equal(service.mailServer.received.length, 1, 'one copy');
});

t.test('a mail that was sent before the database was away for longer than its lease is not sent again here', async (t) => {
  const { service, tables, email } = await startWithUnsentMail(t);
  const { db, clock } = service.app.services;
  const { attempts } = await mailRow(tables, email);
  let sent = 0;
  const send = async () => {
    sent += 1;
    await refuse(tables, 'update on mails', 'true');
    service.clock.advance({ seconds: 56 });
  };
  const complaints: unknown[] = [];
  const log = { error: (what: unknown) => void complaints.push(what), warn: () => {} } as unknown as FastifyBaseLogger;
  const worker = createMailWorker({ db, clock, transport: { send, probe: async () => {}, close: () => {} }, compose, log });
  t.teardown(() => worker.close());
  await eventually('it cannot be written down', () => complaints.length > 1);
  // Only who wants to take a mail is answered.
  await refuse(tables, 'update on mails', 'new.lease is not distinct from old.lease or new.lease is null');
  await eventually('its lease is over, and it is taken again', async () => (await mailRow(tables, email)).attempts === attempts + 2);
  await tables.execute(sql`drop trigger refusal on mails`);
  await settled(tables, email, 'sent');
  t.equal(sent, 1);
});

t.test('an instance that stops does not wait for that', async (t) => {
  const { service, tables, email } = await startWithUnsentMail(t);
  const { db, clock } = service.app.services;
  await refuseEvents(tables);

  let sent = 0;
  const transport = {
    send: async () => {
      sent += 1;
    },
    probe: async () => {},
    close: () => {},
  };
  const worker = createMailWorker({ db, clock, transport, compose, log: service.app.log, drainMs: 10 });
  await eventually('the mail is sent', () => sent === 1);
  await worker.close();
  t.match(await mailRow(tables, email), { status: 'queued', lease: String });
});
