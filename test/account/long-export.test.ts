import { get, type IncomingMessage } from 'node:http';
import { and, eq, sql } from 'drizzle-orm';
import t, { type Test } from 'tap';
import type { Queryable } from '../../src/db/database.ts';
import { events } from '../../src/db/schema.ts';
import { eventually } from '../support/eventually.ts';
import { outboxEmpty } from '../support/held-clock.ts';
import { believedPerson, logIn, register } from '../support/person.ts';
import { refused } from '../support/refusal.ts';
import { type Service, startService } from '../support/service.ts';
import { spoilQueries } from '../support/spoiled-queries.ts';
import { openTables } from '../support/tables.ts';

/** More than the buffers between a service and a client that does not read have room for. */
const many = 30_000;
const firstId = (n: number) => `019a0000-0000-7000-8000-${n.toString(16).padStart(12, '0')}`;

/** Gives an account events of before its registration, so many to a number. */
async function addEvents(tables: Queryable, userId: string, from: number, to: number): Promise<void> {
  const id = sql`(${firstId(0).slice(0, -12)} || lpad(to_hex(n), 12, '0'))::uuid`;
  await tables.execute(sql`insert into events (id, user_id, type, at, ip, user_agent)
    select ${id}, ${userId}, 'logged_in', now(), '203.0.113.9', repeat('x', 512) from generate_series(${from}::int, ${to}::int) n`);
}

/** A client that has been sent the beginning of an export, and reads no further. */
async function begin(t: Test, origin: string, token: string) {
  // The session is bound to the user agent that it was opened with.
  const headers = { authorization: `Bearer ${token}`, 'user-agent': 'lightMyRequest' };
  const response = await new Promise<IncomingMessage>((resolve, reject) => {
    get(`${origin}/auth/me/export`, { headers, agent: false }, resolve).on('error', reject);
  });
  t.teardown(() => response.destroy());
  response.on('error', () => {});
  await new Promise((resolve) => response.once('readable', resolve));
  const readOn = () => new Promise<boolean>((resolve) => response.resume().once('close', () => resolve(response.complete)));
  return { status: response.statusCode, readOn, leave: () => response.destroy() };
}

/** How many pages of events the service has asked its database for. */
function countPages({ app }: Service): () => number {
  const { $client: client } = app.services.db as unknown as { $client: { query(...args: unknown[]): unknown } };
  const query = client.query.bind(client);
  let pages = 0;
  client.query = (...args) => {
    const text = typeof args[0] === 'string' ? args[0] : (args[0] as { text?: string }).text;
    if (/from "events" .*order by "events"\."id" asc/.test(text ?? '')) pages += 1;
    return query(...args);
  };
  return () => pages;
}

t.test('the export of an account with more events than a page', async (t) => {
  const service = await startService(t);
  const tables = openTables(t, service);
  const person = await register(service);
  const agent = { 'user-agent': 'a "quoted" one, "events":[], and \u00fc' };
  const { email, password } = person;
  t.equal((await service.post('/auth/login', { email, password }, { headers: agent })).status, 200);
  const token = await logIn(service, person);
  await outboxEmpty(tables);
  const isLogin = and(eq(events.userId, person.id), eq(events.type, 'logged_in'));
  await eventually('all is recorded', async () => (await tables.$count(events, isLogin)) === 2);
  const present = await tables.$count(events, eq(events.userId, person.id));

  for (const [total, from] of [
    [399, 1],
    [400, 400 - present],
    [401, 401 - present],
    [1400, 402 - present],
  ] as const) {
    await addEvents(tables, person.id, from, total - present);
    const { status, text, body } = await service.get('/auth/me/export', { token });
    t.equal(status, 200);
    t.equal(text, JSON.stringify(body), 'there is not a byte more than the document needs');
    t.strictSame(Object.keys(body), ['exportedAt', 'account', 'sessions', 'knownNetworks', 'events', 'mails']);
    const rows = await tables.select({ id: events.id }).from(events).where(eq(events.userId, person.id)).orderBy(events.id);
    t.equal(rows.length, total);
    t.strictSame(
      body.events.map(({ id }: { id: string }) => id),
      rows.map(({ id }) => id),
      'each once, oldest first',
    );
  }

  await tables.delete(events).where(eq(events.userId, person.id));
  t.match(await service.get('/auth/me/export', { token }), { status: 200, body: { events: [], mails: Array } }, 'or with none');
});

t.test('an export is read from the database no faster than by its client', async (t) => {
  const service = await startService(t);
  const origin = await service.listen();
  const tables = openTables(t, service);
  const person = await believedPerson(service);
  const { token } = person;
  await addEvents(tables, person.id, 1, many);
  const pages = countPages(service);
  /** Of an export that has ended the service learns a moment later. */
  async function beginNext(t: Test) {
    let client = await begin(t, origin, token);
    await eventually('there is a place', async () => {
      if (client.status !== 200) client = await begin(t, origin, token);
      return client.status === 200;
    });
    return client;
  }

  t.test('it ends when the client goes away, and the next one may begin', async (t) => {
    const client = await begin(t, origin, token);
    t.equal(client.status, 200);
    refused(t, await service.get('/auth/me/export', { token }), 429, 'rate_limited', 'there is one at a time');
    client.leave();
    (await beginNext(t)).leave();
    t.ok(pages() > 0 && pages() < many / 200, `${pages()} pages were read`);
  });

  t.test('one that cannot be gone on with does not look like a whole one', async (t) => {
    const client = await beginNext(t);
    const undo = spoilQueries(service.app.services.db, () => {
      throw Object.assign(new Error('the database is away'), { code: '57P01' });
    });
    t.equal(await client.readOn(), false);
    await eventually('the log tells of it', () => service.log.some((line) => line.includes('an export broke off')));
    await eventually('the next one is refused before it begins', async () => {
      const next = await service.get('/auth/me/export', { token });
      return next.status === 503 && next.body.code === 'service_unavailable';
    });
    undo();
  });

  t.test('one whose last events are purged meanwhile is whole without them', async (t) => {
    const client = await beginNext(t);
    await tables.delete(events).where(eq(events.userId, person.id));
    t.equal(await client.readOn(), true);
    await addEvents(tables, person.id, 1, many);
  });

  t.test('that of an account which is deleted meanwhile is none', async (t) => {
    const client = await beginNext(t);
    t.equal((await service.post('/auth/me/deletion', { password: person.password }, { token })).status, 204);
    t.equal(await client.readOn(), false);
  });
});
