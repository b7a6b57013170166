import { once } from 'node:events';
import { connect } from 'node:net';
import t, { type Test } from 'tap';
import { onServer, query } from '../support/database.ts';
import { eventually } from '../support/eventually.ts';
import { createHttpClient } from '../support/http.ts';
import { confirmedPerson, logIn, register } from '../support/person.ts';
import { refused } from '../support/refusal.ts';
import { type Service, startService } from '../support/service.ts';
import { spoilQueries } from '../support/spoiled-queries.ts';
import { allAtOnce, tally } from '../support/two-instances.ts';
import { inviteVisitors } from '../support/visitors.ts';
import { exchangeOne, headersOfEveryAnswer, parseAnswers, requestBytes } from '../support/wire.ts';

async function startOverHttp(t: Test, overrides: Readonly<Record<string, string>> = {}) {
  const service = await startService(t, overrides);
  const base = await service.listen();
  return { ...service, ...createHttpClient(base), base };
}

t.test('forward authentication, over real connections', async (t) => {
  const service = await startOverHttp(t);
  const visitors = await inviteVisitors(service);
  const verify = (token?: string, headers: Readonly<Record<string, string>> = {}) =>
    service.get('/auth/verify', { headers, ...(token !== undefined && { token }) });

  t.test('W01 each visitor gets exactly 204, 401 or 403', async (t) => {
    const expected = { anonymous: 401, unconfirmed: 403, confirmed: 204, disabled: 401, loggedOut: 401, deleted: 401 };
    for (const [who, status] of Object.entries(expected)) {
      for (const headers of [{}, { accept: 'text/html' }, { 'x-requested-with': 'XMLHttpRequest' }, { 'sec-fetch-site': 'cross-site' }]) {
        const answer = await verify(visitors[who as keyof typeof expected], headers);
        t.equal(answer.status, status, who);
        t.notOk(answer.headers['location'] ?? answer.headers['set-cookie']);
        t.equal(answer.headers['x-auth-user-id'] !== undefined, status === 204, 'who it is, is told of the confirmed alone');
      }
    }
  });

  t.test('W01 a proxy that asks about every request is never told that these are too many', async (t) => {
    for (const [token, status] of [
      [undefined, 401],
      [visitors.unconfirmed, 403],
      ['garbage', 401],
      [visitors.confirmed, 204],
    ] as const) {
      t.strictSame(tally(await allAtOnce(400, [service], () => verify(token))), { [status]: 400 });
    }
  });

  t.test('W01 what was sent along as the original request changes nothing', async (t) => {
    const original = {
      'x-original-uri': '/auth/login',
      'x-original-url': 'http://localhost/health/live',
      'x-original-method': 'OPTIONS',
      'x-forwarded-uri': '/%00',
      'x-forwarded-method': 'GARBAGE',
    };
    t.equal((await verify(undefined, original)).status, 401);
    t.equal((await verify(visitors.unconfirmed, original)).status, 403);
    t.equal((await verify(visitors.confirmed, original)).status, 204);
    for (const query of ['?rd=https://evil.test', '?access_token=x', `?a=${'b'.repeat(3000)}`, '?__proto__=x']) {
      const answer = await service.get(`/auth/verify${query}`);
      t.ok([400, 401].includes(answer.status), `${query.slice(0, 30)}: ${answer.status}`);
      t.notOk(answer.headers['location']);
    }
  });

  t.test('W04 a body is not waited for', async (t) => {
    const { hostname, port } = new URL(service.base);
    for (const [method, status] of [
      ['GET', 204],
      ['POST', 405],
    ] as const) {
      const fields = {
        connection: 'keep-alive',
        'user-agent': 'node',
        authorization: `Bearer ${visitors.confirmed}`,
        'content-type': 'application/json',
        'content-length': String(10 * 1024 * 1024),
      };
      const socket = connect(Number(port), hostname, () => socket.write(`${requestBytes(method, '/auth/verify', fields)}{`));
      const [chunk] = await once(socket, 'data');
      t.equal(parseAnswers(String(chunk))[0]?.status, status, `${method} is answered with all but a byte of 10 MiB outstanding`);
      socket.destroy();
    }
  });

  t.test('W01 no preflight is a yes, from wherever it comes', async (t) => {
    const origins = { CORS_ORIGINS: 'https://good.test' };
    const base = await (await startService(t, origins)).listen();
    for (const origin of ['https://good.test', 'https://evil.test', 'null']) {
      for (const target of ['/auth/verify', '/auth/verify?a=1', '/auth/verif%79', 'http://localhost/auth/verify', '/auth/verify#a']) {
        const fields = { origin, 'access-control-request-method': 'GET', 'access-control-request-headers': 'authorization' };
        const answer = await exchangeOne(base, requestBytes('OPTIONS', target, fields));
        t.equal(answer.status, 405, `${target} from ${origin}`);
      }
    }
  });

  t.test('W04 every other method is refused, and tells of nobody', async (t) => {
    const fields = { 'user-agent': 'node', authorization: `Bearer ${visitors.confirmed}` };
    for (const method of ['HEAD', 'POST', 'PUT', 'DELETE', 'OPTIONS', 'TRACE']) {
      const answer = await exchangeOne(service.base, requestBytes(method, '/auth/verify', fields));
      t.match(answer, { status: 405, headers: headersOfEveryAnswer }, method);
      t.strictSame(
        Object.keys(answer.headers).filter((name) => name.startsWith('x-auth-')),
        [],
      );
    }
    t.equal((await exchangeOne(service.base, requestBytes('GET', '/auth/verify', fields))).status, 204);
  });

  t.test('W05 no answer may be kept, and a logout is known at once', async (t) => {
    const person = await confirmedPerson(service);
    const answers = [await verify(person.token), await verify(), await verify(visitors.unconfirmed)];
    t.strictSame(
      answers.map(({ status }) => status),
      [204, 401, 403],
    );
    for (const { headers } of answers) {
      t.equal(headers['cache-control'], 'no-store');
      t.strictSame([headers['etag'], headers['last-modified'], headers['expires']], [undefined, undefined, undefined]);
    }
    t.equal((await verify(person.token, { 'if-none-match': '*', 'if-modified-since': new Date().toUTCString() })).status, 204);
    await service.post('/auth/logout', undefined, { token: person.token });
    t.equal((await verify(person.token)).status, 401);
  });

  t.test('W01 an expired token is none', async (t) => {
    const { token } = await confirmedPerson(service);
    t.equal((await verify(token)).status, 204);
    service.clock.advance({ seconds: 301 });
    refused(t, await verify(token), 401, 'unauthenticated');
  });
});

t.test(
  'W04 without a database nobody passes who would have to be looked up',
  { skip: !onServer && 'needs a PostgreSQL server' },
  async (t) => {
    const service = await startOverHttp(t);
    const unconfirmed = await logIn(service, await register(service));
    const confirmed = await confirmedPerson(service);
    t.equal((await service.get('/auth/verify', { token: unconfirmed })).status, 403);
    await closeDatabase(service);
    await assertUnavailable(t, service, unconfirmed);
    // What was ended elsewhere is not heard of any more: after a while a token is not believed by itself.
    await eventually('the confirmed is not let through either', async () => (await service.get('/auth/verify', confirmed)).status !== 204);
    await assertUnavailable(t, service, confirmed.token);
    t.equal((await service.get('/auth/verify')).status, 401, 'nobody is nobody, database or not');
  },
);

t.test('W04 nor while the database is busy with others', { skip: !onServer && 'needs a PostgreSQL server' }, async (t) => {
  const service = await startOverHttp(t);
  const unconfirmed = await logIn(service, await register(service));
  const { promise: others, resolve: letGo } = withResolvers();
  const { db } = service.app.services;
  const held = Array.from({ length: 12 }, () => db.transaction(() => others).catch(() => undefined));
  await assertUnavailable(t, service, unconfirmed);
  letGo();
  await Promise.all(held);
  t.equal((await service.get('/auth/verify', { token: unconfirmed })).status, 403, 'and afterwards it is as before');
});

t.test('W04 whatever the database says, it is no yes', async (t) => {
  const service = await startOverHttp(t);
  const unconfirmed = await logIn(service, await register(service));
  const { db } = service.app.services;
  const faults: [string, Error, number][] = [
    ['it is away', Object.assign(new Error('connect ECONNREFUSED'), { code: 'ECONNREFUSED' }), 503],
    ['it has no connection left', new Error('timeout exceeded when trying to connect'), 503],
    ['it has too many clients', Object.assign(new Error('sorry, too many clients already'), { code: '53300' }), 503],
    ['it has lost its tables', Object.assign(new Error('relation "sessions" does not exist'), { code: '42P01' }), 500],
  ];
  for (const [what, fault, status] of faults) {
    const mend = spoilQueries(db, () => {
      throw fault;
    });
    const answer = await service.get('/auth/verify', { token: unconfirmed });
    mend();
    refused(t, answer, status, status === 503 ? 'service_unavailable' : 'internal_error', what);
    t.notMatch(answer.text, /ECONNREFUSED|relation|clients/);
    t.equal(answer.headers['x-auth-user-id'], undefined);
  }
  t.equal((await service.get('/auth/verify', { token: unconfirmed })).status, 403);
});

async function assertUnavailable(t: Test, { get }: Pick<Service, 'get'>, token: string): Promise<void> {
  const answer = await get('/auth/verify', { token });
  refused(t, answer, 503, 'service_unavailable');
  t.match(answer.headers['retry-after'], /^[1-9]\d*$/);
  t.equal(answer.headers['x-auth-user-id'], undefined);
}

/** Ends every connection to the database of a service, and lets none in. */
async function closeDatabase({ env }: Pick<Service, 'env'>): Promise<void> {
  const url = new URL(env['DATABASE_URL'] as string);
  const name = url.pathname.slice(1);
  const server = Object.assign(new URL(url), { pathname: '/postgres' }).href;
  await query(server, `alter database ${name} with allow_connections false`);
  await query(server, 'select pg_terminate_backend(pid) from pg_stat_activity where datname = $1', [name]);
}

function withResolvers(): { promise: Promise<void>; resolve: () => void } {
  let resolve = () => {};
  const promise = new Promise<void>((done) => {
    resolve = done;
  });
  return { promise, resolve };
}
