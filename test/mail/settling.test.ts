import { type SQL, sql } from 'drizzle-orm';
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

/** That a mail was sent cannot be written down from now on. */
async function refuseEvents(tables: Queryable): Promise<void> {
  await tables.execute(
    sql`create function refuse() returns trigger language plpgsql as 'begin raise exception ''as the test wants it''; end'`,
  );
  await tables.execute(
    sql`create trigger refusal before insert on events for each row when (new.type like '%mail_sent') execute function refuse()`,
  );
}

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
  // First nothing is answered; then only who wants to take a mail is.
  let state: 'there' | 'away' | 'coming back' = 'there';
  const away = async () => {
    throw new Error('the database is away');
  };
  const transaction = ((...args) => (state === 'there' ? db.transaction(...args) : away())) as typeof db.transaction;
  const update = ((table) => {
    const set = (values: object) => ({
      where: (condition: SQL) => {
        const query = db.update(table).set(values).where(condition);
        const returning = () => (state === 'away' ? away() : query.returning());
        if (state === 'there') return query;
        // biome-ignore lint/suspicious/noThenProperty: a query is one
        return { returning, then: (...callbacks: Parameters<Promise<never>['then']>) => away().then(...callbacks) };
      },
    });
    return { set };
  }) as typeof db.update;
  let sent = 0;
  const send = async () => {
    sent += 1;
    state = 'away';
    service.clock.advance({ seconds: 56 });
  };
  const complaints: unknown[] = [];
  const log = { error: (what: unknown) => void complaints.push(what), warn: () => {} } as unknown as FastifyBaseLogger;
  const flaky = new Proxy(db, { get: (target, name) => ({ transaction, update })[name as 'update'] ?? Reflect.get(target, name) });
  const worker = createMailWorker({ db: flaky, clock, transport: { send, probe: async () => {}, close: () => {} }, compose, log });
  t.teardown(() => worker.close());
  await eventually('it cannot be written down', () => complaints.length > 1);
  state = 'coming back';
  await eventually('its lease is over, and it is taken again', async () => (await mailRow(tables, email)).attempts === attempts + 2);
  state = 'there';
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
