import { eq } from 'drizzle-orm';
import { getTableConfig, PgTable } from 'drizzle-orm/pg-core';
import { fastify } from 'fastify';
import t from 'tap';
import * as schema from '../../src/db/schema.ts';
import { events, knownNetworks, mails, sessions, users } from '../../src/db/schema.ts';
import { outboxEmpty } from '../support/held-clock.ts';
import { confirmedPerson, logIn, openSession, register } from '../support/person.ts';
import { refused } from '../support/refusal.ts';
import { startService } from '../support/service.ts';
import { openTables } from '../support/tables.ts';

/** Of these columns the service alone can make use: they say nothing about anybody. */
const inner: Readonly<Record<string, readonly string[]>> = {
  users: ['passwordHash', 'credentialVersion', 'emailCanonical', 'usernameCanonical', 'disabledAt'],
  sessions: ['userId', 'refreshCounter', 'rotatedAt', 'client'],
  events: ['userId', 'actorId'],
  mails: ['userId', 'state', 'attempts', 'dueAt', 'lease', 'lastError', 'awaitsServer'],
};

t.test('the export of an account', async (t) => {
  const service = await startService(t);
  const tables = openTables(t, service);
  const exported = (token: string) => service.get('/auth/me/export', { token });
  const person = await confirmedPerson(service);
  const other = await confirmedPerson(service);
  const spent = await openSession(service, person);
  await service.post('/auth/refresh', { refreshToken: spent.refreshToken });
  await service.post('/auth/login', { ...{ email: person.email, password: person.password }, rememberMe: true });
  const newEmail = 'export.next@example.com';
  await service.post('/auth/email', { newEmail, password: person.password }, { token: person.token });
  await service.post('/auth/me/deletion', { password: 'a wrong one' }, { token: person.token });
  await service.mailServer.mailTo(newEmail);
  await outboxEmpty(tables);

  t.test('has every row that refers to the user, with all that it says of them', async (t) => {
    const { status, headers, body } = await exported(person.token);
    t.equal(status, 200);
    t.match(headers, { 'content-type': /^application\/json/, 'cache-control': 'no-store' });
    t.strictSame(Object.keys(body).sort(), ['account', 'events', 'exportedAt', 'knownNetworks', 'mails', 'sessions']);
    t.ok(Math.abs(Date.parse(body.exportedAt) - service.clock.now().getTime()) < 60_000);

    const plain = (name: string, row: object) => {
      const outer = Object.entries(row).filter(([column]) => !inner[name]?.includes(column));
      return JSON.parse(JSON.stringify(Object.fromEntries(outer)));
    };
    const [user] = await tables.select().from(users).where(eq(users.id, person.id));
    t.same(body.account, plain('users', user as object));
    t.match(body.account, { email: person.email, pendingEmail: newEmail, confirmedAt: String, pendingEmailSince: String });
    const [network, ...others] = await tables.select().from(knownNetworks).where(eq(knownNetworks.userId, person.id));
    t.same(body.knownNetworks, [{ network: network?.network, lastUsedAt: network?.lastUsedAt.toISOString() }]);
    t.equal(others.length, 0, 'all logins came from one');
    for (const [name, table, count] of [
      ['sessions', sessions, 3],
      ['events', events, 9],
      ['mails', mails, 3],
    ] as const) {
      const rows = await tables.select().from(table).where(eq(table.userId, person.id)).orderBy(table.id);
      t.ok(rows.length >= count, `${rows.length} ${name}`);
      t.same(
        body[name],
        rows.map((row) => plain(name, row)),
        `${name}, oldest first`,
      );
    }
  });

  t.test('knows every table that refers to users', (t) => {
    const tablesOf = Object.values(schema).filter((value) => value instanceof PgTable);
    const referring = tablesOf.filter((table) => getTableConfig(table as PgTable).columns.some(({ name }) => name === 'user_id'));
    t.strictSame(referring.map((table) => getTableConfig(table as PgTable).name).sort(), ['events', 'known_networks', 'mails', 'sessions']);
    t.end();
  });

  t.test('has no hash, no token, and nothing of anybody else', async (t) => {
    const { text } = await exported(person.token);
    const [user] = await tables.select().from(users).where(eq(users.id, person.id));
    const rows = await tables.select().from(sessions).where(eq(sessions.userId, person.id));
    const secrets = [user?.passwordHash, ...rows.map(({ client }) => client), person.password, person.token, spent.refreshToken];
    for (const secret of secrets) t.notOk(text.includes(secret as string));
    t.notMatch(text, /argon2|"eyJ|[\w-]{20,}\.[\w-]{10,}/);
    for (const detail of [other.id, other.email, `"${other.username}"`]) t.notOk(text.includes(detail));
  });

  t.test('is as the OpenAPI document says, and has no more', async (t) => {
    const { paths } = (await service.get('/openapi.json')).body;
    const described = paths['/auth/me/export'].get.responses['200'].content['application/json'].schema;
    // A server that takes nothing but what is described.
    const reader = fastify({ ajv: { customOptions: { removeAdditional: false, coerceTypes: false, useDefaults: false } } });
    t.teardown(() => reader.close());
    reader.post('/', { schema: { body: described } }, async () => 'read');
    const reads = async (body: object) => (await reader.inject({ method: 'POST', url: '/', payload: body })).statusCode === 200;
    const { body } = await exported(person.token);
    t.ok(await reads(body));
    for (const more of [
      { ...body, more: 1 },
      { ...body, account: { ...body.account, passwordHash: 'x' } },
      { ...body, mails: [{}] },
    ]) {
      t.notOk(await reads(more), 'the description is strict');
    }
  });

  t.test('is for who is logged in, confirmed or not', async (t) => {
    refused(t, await service.get('/auth/me/export'), 401, 'unauthenticated');
    const newcomer = await register(service);
    const { status, body } = await exported(await logIn(service, newcomer));
    t.equal(status, 200);
    t.match(body.account, { id: newcomer.id, confirmedAt: null, pendingEmail: null, pendingEmailSince: null, locale: null });
    t.match(body.sessions, [{ rememberMe: false }]);
  });
});
