import t from 'tap';
import { type Span, startCollector } from '../support/collector.ts';
import { behindProxy } from '../support/networks.ts';
import { confirmationPath, logIn, register } from '../support/person.ts';
import { startService } from '../support/service.ts';

t.test('requests are traced, without anything that is secret, and the log names the trace', async (t) => {
  const collector = await startCollector(t);
  const service = await startService(t, { OTEL_EXPORTER_OTLP_ENDPOINT: collector.url, RATE_LIMIT: 'off', ...behindProxy });
  const traceId = '0af7651916cd43dd8448eb211c80319c';
  const traceparent = `00-${traceId}-b7ad6b7169203331-01`;
  const person = await register(service);
  const token = await logIn(service, person);
  const path = await confirmationPath(service, person);
  await service.get(path, { token, headers: { traceparent } });
  await service.get('/secret', { token: `${token}x` });
  await service.get('/nothing/canary?canary=1');
  // A failed query whose parameters are in its error's words.
  await service.app.services.db.execute('alter table users rename to gone' as never);
  t.equal((await service.post('/auth/login', { email: person.email, password: person.password })).status, 500);
  const lines = service.log.map((line) => JSON.parse(line));
  await service.app.close();

  const spans = collector.spans();
  const named = (name: string) => spans.find((span) => span.name === name) as Span;
  const attributeOf = ({ attributes }: Span, key: string) => Object.values(attributes.find((each) => each.key === key)?.value ?? {})[0];
  const confirmation = named('GET /auth/confirm/:token');
  t.match(confirmation, { traceId, parentSpanId: 'b7ad6b7169203331' }, 'it belongs to the trace of the proxy that sent it');
  t.equal(attributeOf(confirmation, 'http.response.status_code'), 200);
  t.equal(attributeOf(confirmation, 'url.path'), '/auth/confirm/:token');
  t.equal(named('GET /secret').status.code ?? 0, 0, 'a refusal is no fault');
  t.match(named('POST /auth/login').attributes, Array);
  const faults = spans.filter(({ status }) => status.code === 2);
  t.same(
    faults.map(({ name, status }) => [name, status.message]),
    [['POST /auth/login', undefined]],
  );
  const words = collector.bodies.join('');
  const secrets = [token, path.split('/').at(-1) as string, person.email, person.password, person.username, 'canary'];
  for (const secret of secrets) t.notOk(words.includes(secret), 'nothing secret was sent');
  t.ok(words.includes('"latchkey"'));
  const line = lines.find(({ route }) => route === '/auth/confirm/:token');
  t.equal(line?.trace_id, traceId);
  t.equal(
    new Set(lines.filter(({ msg }) => msg === 'request').map(({ trace_id }) => trace_id)).size,
    spans.length,
    'each request has its own',
  );
});

t.test('a stranger chooses neither the trace nor whether it is recorded', async (t) => {
  const collector = await startCollector(t);
  const service = await startService(t, { OTEL_EXPORTER_OTLP_ENDPOINT: collector.url, TRUSTED_PROXIES: '192.0.2.0/24' });
  const [first, second] = ['0af7651916cd43dd8448eb211c80319c', '1bf7651916cd43dd8448eb211c80319c'];
  const ask = (remoteAddress: string, traceparent: string) =>
    service.app.inject({ url: '/health/live', remoteAddress, headers: { traceparent, tracestate: 'canary=1', baggage: 'canary=1' } });
  await ask('127.0.0.1', `00-${first}-b7ad6b7169203331-01`);
  await ask('127.0.0.1', `00-${first}-b7ad6b7169203331-00`);
  await ask('192.0.2.1', `00-${second}-b7ad6b7169203331-01`);
  await ask('192.0.2.1', `00-${second}-b7ad6b7169203331-00`);
  await service.app.close();
  const [one, two, trusted, ...others] = collector.spans();
  t.strictSame(others, [], 'the proxy alone has a say in what is recorded');
  for (const span of [one, two]) t.match(span, { traceId: /^(?!0af7)/, parentSpanId: undefined });
  t.not(one?.traceId, two?.traceId);
  t.match(trusted, { traceId: second, parentSpanId: 'b7ad6b7169203331' });
  t.notOk(service.log.some((line) => line.includes(first)));
});

t.test('a collector that is away holds up nobody', async (t) => {
  const service = await startService(t, { OTEL_EXPORTER_OTLP_ENDPOINT: 'http://127.0.0.1:1' });
  t.equal((await service.get('/health/live')).status, 200);
  const began = performance.now();
  await service.app.close();
  t.ok(performance.now() - began < 8000, 'nor does it keep the service from closing: by itself it would try again for nine seconds');
});

t.test('without a collector nothing is traced', async (t) => {
  const service = await startService(t);
  await service.get('/health/live');
  t.notOk(service.app.hasPlugin('@fastify/otel'));
  t.notOk(service.log.some((line) => line.includes('trace_id')));
});
