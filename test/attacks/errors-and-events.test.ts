import { once } from 'node:events';
import { readFile } from 'node:fs/promises';
import { connect } from 'node:net';
import { promisify } from 'node:util';
import t, { type Test } from 'tap';
import type { EventType } from '../../src/db/kinds.ts';
import { events } from '../../src/db/schema.ts';
import type { ManualClock } from '../support/clock.ts';
import { createDatabase } from '../support/database.ts';
import { eventually } from '../support/eventually.ts';
import { outboxEmpty } from '../support/held-clock.ts';
import { createHttpClient } from '../support/http.ts';
import {
  confirmationPath,
  confirmedPerson,
  emailChangeToken,
  logIn,
  newDetails,
  openSession,
  register,
  resetToken,
} from '../support/person.ts';
import { freePort, startProcess } from '../support/process.ts';
import { startService } from '../support/service.ts';
import { spoilQueries } from '../support/spoiled-queries.ts';
import { openTables } from '../support/tables.ts';
import { assertProblem, exchangeOne, postBytes, requestBytes } from '../support/wire.ts';

t.test('X05 what throws spoils the one request that it is thrown in', async (t) => {
  const service = await startService(t, { RATE_LIMIT: 'off' });
  const base = await service.listen();
  const client = createHttpClient(base);
  const unconfirmed = await logIn(client, await register(client));
  const { token } = await confirmedPerson({ ...service, ...client });
  const { clock } = service;
  const { now } = clock;
  const as = (who: string) => requestBytes('GET', '/secret', { 'user-agent': 'node', authorization: `Bearer ${who}` });
  const login = requestBytes('POST', '/auth/login', {}, '{"username":"n1ghting4le","password":"n1ghting4le"}');
  const { guard, services } = service.app;
  const { findSession } = guard;
  let mendQueries = () => {};

  /** Each makes something throw, and answers what undoes it. */
  const faults: Record<string, { bytes: string; spoil: (error: unknown) => void }> = {
    'the hook of the guard, at once': { bytes: as(token), spoil: (error) => throwIn(() => error) },
    'the hook of the guard, later, in a query': {
      bytes: as(unconfirmed),
      spoil,
    },
    'a handler, at once': {
      bytes: requestBytes('GET', '/auth/verify'),
      spoil: (error) => {
        guard.findSession = () => {
          throw error;
        };
      },
    },
    'a handler, later': { bytes: requestBytes('GET', '/auth/verify'), spoil: (error) => (guard.findSession = () => Promise.reject(error)) },
    'a query of a handler': {
      bytes: login,
      spoil,
    },
  };
  function throwIn(error: () => unknown): void {
    clock.now = () => {
      throw error();
    };
  }
  function spoil(error: unknown): void {
    mendQueries = spoilQueries(services.db, () => {
      throw error;
    });
  }
  function mend(): void {
    clock.now = now;
    mendQueries();
    guard.findSession = findSession;
  }
  t.teardown(mend);

  const errors = [
    new Error('n1ghting4le'),
    'n1ghting4le',
    { statusCode: 200, message: 'n1ghting4le' },
    Object.assign(new Error('n1ghting4le'), { statusCode: 302 }),
  ];
  for (const [what, { bytes, spoil }] of Object.entries(faults)) {
    // Going on without an error is what a hook does with nothing.
    for (const thrown of what.startsWith('the hook') ? [...errors, undefined, null] : errors) {
      spoil(thrown);
      const answer = await exchangeOne(base, bytes);
      mend();
      assertProblem(t, answer, { status: 500, code: 'internal_error' });
      t.notMatch(JSON.stringify(answer), /n1ghting4le/, what);
      t.ok(
        service.log.some((line) => line.includes(answer.headers['x-request-id'] as string) && line.includes('"level":50')),
        'it is logged',
      );
      t.equal((await exchangeOne(base, as(token))).status, 200, `${what}: the next request is answered`);
    }
  }
});

t.test('X05 whoever hangs up as soon as they have asked causes no fault', async (t) => {
  const service = await startService(t);
  const base = await service.listen();
  const { hostname, port } = new URL(base);
  const person = await register(service);
  const asked = [
    postBytes('/auth/login', JSON.stringify({ email: person.email, password: 'not the password' })),
    postBytes('/auth/register', JSON.stringify(newDetails())),
    postBytes('/auth/password/forgot', JSON.stringify({ email: person.email })),
    postBytes('/auth/refresh', JSON.stringify({ refreshToken: 'x' })),
  ];
  for (const bytes of asked) {
    for (let count = 0; count < 10; count += 1) {
      const socket = connect(Number(port), hostname);
      await once(socket, 'connect');
      socket.write(bytes);
      socket.resetAndDestroy();
    }
  }
  const connections = promisify(service.app.server.getConnections.bind(service.app.server));
  await eventually('all have gone', async () => (await connections()) === 0);
  t.equal((await exchangeOne(base, requestBytes('GET', '/health/live'))).status, 200);
  t.strictSame(
    service.log.filter((line) => line.includes('"level":50')),
    [],
  );
});

/** A service of its own process, in which something goes wrong that belongs to no request. */
const withStrayError = (port: number, stray: string) => `
  import { serve } from './src/serve.ts';
  import { loadConfig } from './src/config.ts';
  await serve(loadConfig(process.env), () => {});
  process.once('SIGWINCH', () => { ${stray} });
  console.log('serving on ${port}');
`;

t.test('X05 an error that belongs to no request is logged, and ends the service in order', async (t) => {
  const strays = {
    'a rejection that nobody handles': `Promise.reject(new Error('a stray error'));`,
    'an exception that nobody catches': `setImmediate(() => { throw new Error('a stray error'); });`,
  };
  for (const [what, stray] of Object.entries(strays)) {
    const port = await freePort();
    const database = await createDatabase(t);
    const cheapHashing = { ARGON2_MEMORY_KIB: '8', ARGON2_PASSES: '1' };
    const service = startProcess(t, { script: withStrayError(port, stray) }, { ...database, ...cheapHashing, PORT: String(port) });
    await service.says(/serving on/);
    const base = `http://127.0.0.1:${port}`;
    t.equal((await fetch(`${base}/health/live`)).status, 200);
    service.child.kill('SIGWINCH');
    t.strictSame(await service.ended(), { code: 1, signal: null }, `${what}: whoever runs it learns that it failed, and starts it again`);
    const lines = service.output.stdout.split('\n').filter((line) => line.includes('a stray error'));
    t.ok(lines.length > 0 && lines.every((line) => JSON.parse(line).level >= 50), `${what} is logged as an error`);
    t.notMatch(service.output.stdout, /"level":60/, 'and it closes within its time');
  }
});

/** What an owner is told of an account, newest first. */
interface ToldEvent {
  readonly id: string;
  readonly type: EventType;
  readonly at: string;
  readonly ip: string | null;
  readonly userAgent: string | null;
}

t.test('X06 the owner is told of each thing that happens to an account, once, when and from where', async (t) => {
  const service = await startService(t, { RATE_LIMIT: 'off' });
  const client = createHttpClient(await service.listen());
  const person = await register(client);
  const { email, password } = person;
  const tables = openTables(t, service);
  const newPassword = 'another password of theirs';
  const here = { ...service, ...client };
  const wrong = () => client.post('/auth/login', { email, password: 'a wrong one' });
  const statuses: number[] = [];
  const note = async (answer: Promise<{ status: number }>) => statuses.push((await answer).status);

  await note(wrong());
  const first = await openSession(client, person);
  const token = first.accessToken;
  await note(client.post('/auth/confirm/resend', undefined, { token }));
  await note(client.get(await confirmationPath(service, person), { token }));
  await note(client.get(await confirmationPath(service, person), { token }));
  const other = (await client.post('/auth/login', { email, password })).body.session.id;
  await note(client.request('DELETE', `/auth/sessions/${other}`, { token }));
  await note(client.post('/auth/refresh', { refreshToken: (await openSession(client, person)).refreshToken }));
  const stolen = await openSession(client, person);
  await note(client.post('/auth/refresh', { refreshToken: stolen.refreshToken }));
  service.clock.advance({ seconds: 11 });
  await note(client.post('/auth/refresh', { refreshToken: stolen.refreshToken }));
  const change = await emailChangeToken(here, { password, token }, 'new.address@example.com');
  await note(client.get(`/auth/email/confirm/${change}`, { token }));
  const moved = { ...person, email: 'new.address@example.com' };
  await note(client.post('/auth/password/reset', { token: await resetToken(here, moved), newPassword }));
  const last = await logIn(client, { ...moved, password: newPassword });
  await note(client.post('/auth/logout', undefined, { token: await logIn(client, { ...moved, password: newPassword }) }));
  t.strictSame(statuses, [401, 202, 200, 200, 204, 200, 200, 401, 200, 204, 204]);

  const expected: Partial<Record<EventType, number>> = {
    registered: 1,
    login_failed: 1,
    logged_in: 6,
    confirmation_requested: 1,
    confirmed: 1,
    // One by its owner, one since its token was used twice.
    session_ended: 2,
    refresh_reused: 1,
    email_change_requested: 1,
    email_changed: 1,
    password_reset_requested: 1,
    password_reset: 1,
    sessions_ended: 1,
    logged_out: 1,
  };
  const told = async (): Promise<ToldEvent[]> => (await client.get('/auth/events?limit=100', { token: last })).body.events;
  const countsOf = (list: readonly ToldEvent[]) => {
    const counts: Partial<Record<EventType, number>> = {};
    for (const { type } of list.filter((event) => !event.type.includes('_mail_'))) counts[type] = (counts[type] ?? 0) + 1;
    return counts;
  };
  await eventually('the failed login is written down, too', async () => countsOf(await told()).login_failed === 1);
  await outboxEmpty(tables);
  const list = await told();
  t.strictSame(countsOf(list), expected);
  for (const event of list) assertTold(t, event, service.clock);
  t.equal(new Set(list.map(({ id }) => id)).size, list.length);
  t.strictSame(
    list.map(({ at }) => at),
    list
      .map(({ at }) => at)
      .toSorted()
      .reverse(),
    'newest first',
  );
  const text = JSON.stringify(list);
  for (const secret of [password, newPassword, token, last, change, stolen.refreshToken, email]) t.notOk(text.includes(secret));
  t.equal(await tables.$count(events), list.length, 'and there is nothing that the owner is not told of');
});

function assertTold(t: Test, { type, at, ip, userAgent, ...others }: ToldEvent, clock: ManualClock): void {
  t.match(at, /^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z$/, `${type}: in UTC`);
  t.ok(Math.abs(Date.parse(at) - clock.now().getTime()) < 120_000, type);
  t.strictSame([ip, userAgent], type.includes('_mail_') ? [null, null] : ['127.0.0.1', 'node'], `${type}: from where`);
  t.strictSame(Object.keys(others), ['id']);
}

/** The first versions without what is known of them. */
const atLeast = { fastify: '5.12.2', 'fast-jwt': '6.2.4', nodemailer: '9.1.1', 'drizzle-orm': '0.45.2' };

t.test('X08 no dependency is older than the last that had a hole', async (t) => {
  const { packages } = JSON.parse(await readFile('package-lock.json', 'utf8')) as {
    packages: Record<string, { version: string; dev?: boolean }>;
  };
  for (const [name, version] of Object.entries(atLeast)) {
    // What only tests use is never installed where the service runs.
    const copies = Object.entries(packages).filter(([path, { dev }]) => path.endsWith(`node_modules/${name}`) && !dev);
    t.ok(copies.length > 0, `${name} is there`);
    for (const [path, copy] of copies) t.ok(isAtLeast(copy.version, version), `${path} ${copy.version} is at least ${version}`);
  }
  t.ok(isAtLeast('10.0.0', '9.1.1') && isAtLeast('9.1.1', '9.1.1') && !isAtLeast('9.1.0', '9.1.1') && !isAtLeast('9.0.12', '9.1.1'));
});

function isAtLeast(version: string, wanted: string): boolean {
  return version.localeCompare(wanted, 'en', { numeric: true }) >= 0 && !version.includes('-');
}
