import { fastify } from 'fastify';
import t from 'tap';
import { openPool } from '../../src/db/client.ts';
import { httpPlugin } from '../../src/http/plugin.ts';
import { healthRoutes } from '../../src/operations/health-routes.ts';
import { createClient } from '../support/client.ts';
import { refused } from '../support/refusal.ts';
import { startService } from '../support/service.ts';

t.test('a service whose database answers is live and ready', async (t) => {
  const service = await startService(t);
  const expected = { '/health/live': { status: 'ok' }, '/health/ready': { status: 'ok', mail: 'ok' } };
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

t.test('a service whose database is away is live, but not ready', async (t) => {
  const { db, close } = openPool({ url: 'postgres://nobody@127.0.0.1:1/nothing', onIdleError: () => {} });
  t.teardown(close);
  const app = fastify();
  t.teardown(() => app.close());
  await app.register(httpPlugin, { headers: { 'cache-control': 'no-store' } });
  await app.register(healthRoutes, { db, mailOutage: () => undefined });
  const client = createClient(app);

  t.equal((await client.get('/health/live')).status, 200);
  const answer = await client.get('/health/ready');
  refused(t, answer, 503, 'service_unavailable');
  t.strictSame(answer.body.down, ['database']);
  t.match(answer.headers['retry-after'], /^[1-9]\d*$/);
  t.notMatch(answer.text, /ECONNREFUSED|127\.0\.0\.1|select/);
  t.equal((await client.request('HEAD', '/health/ready')).status, 503);
});
