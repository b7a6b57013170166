import { type SQL, sql } from 'drizzle-orm';
import { fastify } from 'fastify';
import t, { type Test } from 'tap';
import { openPool } from '../../src/db/client.ts';
import { httpPlugin } from '../../src/http/plugin.ts';
import { healthRoutes } from '../../src/operations/health-routes.ts';
import type { Services } from '../../src/services.ts';
import { type Answer, createClient } from '../support/client.ts';
import { refused } from '../support/refusal.ts';
import { startService } from '../support/service.ts';

t.test('a service whose database answers is live and ready', async (t) => {
  const service = await startService(t);
  const ready = { status: 'ok', database: 'ok', migrations: 'ok', signing_key: 'ok', mail: 'ok' };
  const expected = { '/health/live': { status: 'ok' }, '/health/ready': ready };
  for (const [path, body] of Object.entries(expected)) {
    const answer = await service.get(path);
    t.equal(answer.status, 200, path);
    t.match(answer.headers, { 'content-type': /^application\/json/, 'cache-control': 'no-store' });
    t.strictSame(answer.body, body);
    const head = await service.request('HEAD', path);
    t.equal(head.status, 200, `HEAD ${path}`);
    t.equal(head.text, '');
    t.strictSame((await service.get(`${path}?verbose`)).body, body, 'and says no more');
  }
});

/** The routes by themselves, so that something may be missing. */
async function startHealthRoutes(t: Test, services: Pick<Services, 'db' | 'keyRing'>) {
  const app = fastify();
  t.teardown(() => app.close());
  await app.register(httpPlugin, { headers: { 'cache-control': 'no-store' } });
  await app.register(healthRoutes, { ...services, mailOutage: () => undefined });
  return { app, ...createClient(app) };
}

function assertNotReady(t: Test, answer: Answer, down: readonly string[]): void {
  refused(t, answer, 503, 'service_unavailable');
  t.strictSame(answer.body.down, down);
  t.match(answer.headers['retry-after'], /^[1-9]\d*$/);
}

t.test('a service whose database is away is live, but not ready', async (t) => {
  const { keyRing } = (await startService(t)).app.services;
  const { db, close } = openPool({ url: 'postgres://nobody@127.0.0.1:1/nothing', onIdleError: () => {} });
  t.teardown(close);
  const client = await startHealthRoutes(t, { db, keyRing });
  t.equal((await client.get('/health/live')).status, 200);
  const answer = await client.get('/health/ready');
  assertNotReady(t, answer, ['database']);
  t.notMatch(answer.text, /ECONNREFUSED|127\.0\.0\.1|select/);
  t.equal((await client.request('HEAD', '/health/ready')).status, 503);
});

t.test('a service without its newest migration, or without a key to sign with, is not ready', async (t) => {
  const { keyRing, db } = (await startService(t)).app.services;
  assertNotReady(t, await (await startHealthRoutes(t, { db, keyRing: { ...keyRing, published: () => [] } })).get('/health/ready'), [
    'signing_key',
  ]);
  await db.execute(sql`update drizzle.__drizzle_migrations set created_at = created_at + 1`);
  t.equal((await (await startHealthRoutes(t, { db, keyRing })).get('/health/ready')).status, 200, 'a newer schema will do');
  await db.execute(sql`update drizzle.__drizzle_migrations set created_at = created_at - 2`);
  assertNotReady(t, await (await startHealthRoutes(t, { db, keyRing })).get('/health/ready'), ['migrations']);
});

t.test('however many ask, the database is asked once a second', async (t) => {
  const { keyRing, db } = (await startService(t)).app.services;
  let asked = 0;
  const counting = {
    execute: (query: SQL) => {
      asked += 1;
      return db.execute(query);
    },
  };
  const client = await startHealthRoutes(t, { db: counting as never, keyRing });
  const answers = await Promise.all(Array.from({ length: 50 }, () => client.get('/health/ready')));
  t.ok(answers.every(({ status }) => status === 200));
  t.equal(asked, 1);
});

t.test('a service that is about to end says so, and answers everything else', async (t) => {
  const service = await startService(t);
  const base = await service.listen();
  t.equal((await fetch(`${base}/health/ready`)).headers.get('connection'), 'keep-alive');
  service.app.announceEnd();
  assertNotReady(t, await service.get('/health/ready'), ['shutdown']);
  const live = await fetch(`${base}/health/live`);
  t.same([live.status, live.headers.get('connection')], [200, 'close'], 'but over another connection the next time');
  t.equal((await service.post('/auth/login', { email: 'a@b.test', password: 'x' })).status, 401);
});
