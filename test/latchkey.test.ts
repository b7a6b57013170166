import { once } from 'node:events';
import { get } from 'node:http';
import { type FastifyInstance, fastify } from 'fastify';
import t, { type Test } from 'tap';
import { ConfigError, type LatchkeyOptions, latchkey, requireUser } from '../src/index.ts';
import { createClient } from './support/client.ts';
import { ManualClock } from './support/clock.ts';
import { createDatabase } from './support/database.ts';
import { createForeignClient } from './support/http.ts';
import { startMailServer } from './support/mail-server.ts';
import { confirmationPath, confirmedPerson, logIn, register } from './support/person.ts';
import { refused } from './support/refusal.ts';
import { startService } from './support/service.ts';
import { exchangeOne, requestBytes } from './support/wire.ts';

const weakest = { ARGON2_MEMORY_KIB: '8', ARGON2_PASSES: '1', LOG_LEVEL: 'silent', RATE_LIMIT: 'off' };

/** Fastify's own ten seconds are too few where other tests use the machine, too. */
const pluginTimeout = 60_000;

/** What somebody's own routes answer with. */
function addRoutes(app: FastifyInstance): void {
  app.get('/hello', async (request) => ({ hello: requireUser(request).username }));
  app.get('/open', { config: { access: 'public' } }, async ({ user }) => ({ user }));
  app.get('/perhaps', { config: { access: 'visitor' } }, async ({ user }) => ({ user }));
  app.get('/early', { config: { access: 'session' } }, async ({ user }) => ({ user }));
  app.get('/staff', { config: { role: 'admin' } }, async () => ({}));
  app.get('/confused', { config: { access: 'public' } }, async (request) => ({ hello: requireUser(request).username }));
  app.post('/things', { schema: { body: { type: 'object', properties: { count: { type: 'integer' } } } } }, async ({ body }) => body);
}

/** An application of somebody's own, with Fastify as it comes, that has the plugin. */
async function startOwnApplication(t: Test, options: Partial<LatchkeyOptions> = {}) {
  const [database, mailServer] = await Promise.all([createDatabase(t), startMailServer(t)]);
  const clock = new ManualClock();
  const env = { SMTP_URL: mailServer.url, ...weakest, ...database, ...options.env };
  const app = fastify({ forceCloseConnections: true, pluginTimeout });
  t.teardown(() => app.close());
  await app.register(latchkey, { clock, ...options, env });
  addRoutes(app);
  app.setNotFoundHandler((_request, reply) => reply.code(404).send({ error: 'nothing of mine' }));
  const base = await app.listen({ host: '127.0.0.1', port: 0 });
  return { app, base, clock, env, mailServer, ...createForeignClient(base) };
}

t.test('in somebody’s own application', async (t) => {
  const own = await startOwnApplication(t);

  t.test('the whole story works beside its routes, each at its level', async (t) => {
    refused(t, await own.get('/hello'), 401, 'unauthenticated');
    const person = await register(own);
    const token = await logIn(own, person);
    const early = await own.get('/hello', { token });
    refused(t, early, 403, 'unconfirmed');
    t.match(early, { body: { resend: { href: '/auth/confirm/resend' } }, headers: { 'cache-control': 'no-store' } });
    refused(t, await own.get('/perhaps', { token }), 403, 'unconfirmed');
    const { id, username, email } = person;
    t.same((await own.get('/early', { token })).body, { user: { id, username, email, role: 'user', confirmed: false } });
    t.same((await own.get('/perhaps')).body, { user: null });
    t.same((await own.get('/open', { token })).body, { user: null }, 'a public route asks for nobody');

    t.equal((await own.get(await confirmationPath(own, person), { token })).status, 200, 'a link far longer than a parameter may be');
    t.match(await own.get('/hello', { token }), { status: 200, body: { hello: username } });
    t.match(await own.get('/hello', { headers: { cookie: `access=${token}` } }), { status: 200, body: { hello: username } });
    refused(t, await own.get('/staff', { token }), 403, 'forbidden');
    refused(t, await own.request('POST', '/things', { headers: { cookie: `access=${token}` }, body: {} }), 403, 'cross_origin_rejected');
    t.equal((await own.get('/confused', { token })).status, 500, 'a route that reads a user without asking for one is at fault');
    await own.post('/auth/logout', undefined, { token });
    refused(t, await own.get('/hello', { token }), 401, 'unauthenticated');
  });

  t.test('the service is what it is alone, and the application is as it was', async (t) => {
    const { token } = await confirmedPerson(own);
    refused(t, await own.post('/auth/register', { email: 'a@b.test', username: 'a', password: 1 }), 400, 'validation_failed');
    refused(t, await own.request('POST', '/auth/login', { body: '{' }), 400, 'malformed_request');
    refused(t, await own.request('PUT', '/auth/login'), 405, 'method_not_allowed');
    const things = await own.post('/things', { count: '7' }, { token });
    t.match(things, { status: 200, body: { count: 7 } }, 'its own bodies are read as Fastify reads them');
    t.match(await own.get('/nothing'), { status: 404, body: { error: 'nothing of mine' } });
    t.match(await own.get('/'), { status: 404 }, 'there is no sample');
    t.match(await own.get('/health/ready'), { status: 200 });
    t.match(await own.get('/openapi.json'), { status: 200, body: { openapi: '3.1.0' } });
    t.match(await own.get('/docs'), { status: 200, text: /<title>/ });
    t.match(await own.request('HEAD', '/hello', { token }), { status: 200 });
    const forged = await exchangeOne(
      own.base,
      requestBytes('GET', '/hello', { authorization: `Bearer ${token}`, Authorization: 'Bearer x' }),
    );
    t.equal(forged.status, 400);
    t.match(
      await createClient(own.app).get('/auth/me', { token, headers: { 'user-agent': 'node' } }),
      { status: 200 },
      'injected requests, too',
    );
  });
});

t.test('only the guard, beside a service that runs elsewhere', async (t) => {
  const service = await startService(t, { RATE_LIMIT: 'off' });
  if (service.env['DATABASE_URL'] === undefined) return void t.pass('an embedded database belongs to one process: on a server only');
  const app = fastify({ pluginTimeout });
  t.teardown(() => app.close());
  await app.register(latchkey, { env: { ...service.env, LOG_LEVEL: 'silent' }, routes: false, clock: service.clock });
  addRoutes(app);
  const client = createClient(app);
  const person = await confirmedPerson(service);
  t.match(await client.get('/hello', { token: person.token }), { status: 200, body: { hello: person.username } });
  refused(t, await client.get('/hello'), 401, 'unauthenticated');
  t.equal((await app.inject('/auth/me')).statusCode, 404);
});

t.test('behind a proxy, sessions are bound to where the proxy says that they come from', async (t) => {
  const own = await startOwnApplication(t, { env: { TRUSTED_PROXIES: '127.0.0.1' } });
  const at = (ip: string) => ({ 'x-forwarded-for': ip });
  const person = await register(own);
  const login = await own.post('/auth/login', { email: person.email, password: person.password }, { headers: at('192.0.2.1') });
  const token = login.body.accessToken;
  t.equal((await own.get('/early', { token, headers: at('192.0.2.1') })).status, 200);
  refused(t, await own.get('/early', { token, headers: at('198.51.100.1') }), 401, 'unauthenticated');
  refused(t, await own.get('/early', { token }), 401, 'unauthenticated');
});

t.test('the application may answer refusals in its own way', async (t) => {
  const own = await startOwnApplication(t, {
    refuse: ({ code }, { url }, reply) => void reply.redirect(`/login?why=${code}&next=${encodeURIComponent(url)}`, 303),
  });
  const { status, headers } = await own.get('/hello?a=1');
  t.match({ status, location: headers['location'] }, { status: 303, location: '/login?why=unauthenticated&next=%2Fhello%3Fa%3D1' });
  refused(t, await own.get('/auth/me'), 401, 'unauthenticated');
});

t.test('with CORS_ORIGINS, too, what is nobody’s is the application’s to answer', async (t) => {
  const origin = 'https://app.test';
  const own = await startOwnApplication(t, { env: { CORS_ORIGINS: origin } });
  t.match(await own.get('/nothing'), { status: 404, body: { error: 'nothing of mine' } });
  const preflight = { origin, 'access-control-request-method': 'POST' };
  t.match(await own.request('OPTIONS', '/auth/login', { headers: preflight }), { status: 204 });
  t.match(await own.request('OPTIONS', '/nothing', { headers: preflight }), { status: 404, body: { error: 'nothing of mine' } });
});

t.test('a refusal that fails is a fault like any other, and ends nothing', async (t) => {
  for (const refuse of [
    () => {
      throw new Error('at once');
    },
    () => Promise.reject(new Error('later')),
  ]) {
    const own = await startOwnApplication(t, { refuse });
    t.match(await own.get('/hello'), { status: 500, body: { message: /at once|later/ } });
    t.equal((await own.get('/health/live')).status, 200);
  }
});

t.test('what only a service of its own has is refused at the start, and so are faults', async (t) => {
  for (const env of [{ UPSTREAM_URL: 'http://localhost:1' }, { METRICS_PORT: '0' }, { PORT: 'x' }]) {
    const app = fastify({ pluginTimeout });
    await t.rejects(async () => app.register(latchkey, { env }), ConfigError);
    await app.close();
  }
});

t.test('a tab that waits does not keep the application from closing', async (t) => {
  const own = await startOwnApplication(t);
  const token = await logIn(own, await register(own));
  const request = get(`${own.base}/auth/confirm/events`, { headers: { authorization: `Bearer ${token}`, 'user-agent': 'node' } });
  const [answer] = await once(request, 'response');
  const ended = once(answer.resume(), 'end');
  await own.app.close();
  await ended;
  t.equal(answer.statusCode, 200);
});
