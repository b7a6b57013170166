import { readFile } from 'node:fs/promises';
import t from 'tap';
import { onServer } from '../support/database.ts';
import { eventually } from '../support/eventually.ts';
import { confirmationPath, logIn, register, resetToken } from '../support/person.ts';
import { freePort } from '../support/process.ts';
import { startService } from '../support/service.ts';
import { assertProblem, exchangeOne, headersOfEveryAnswer } from '../support/wire.ts';

t.test('metrics are on a port of their own, and tell of the mail queue', async (t) => {
  const port = await freePort();
  const service = await startService(t, { METRICS_PORT: String(port), SMTP_URL: 'smtp://127.0.0.1:1' });
  const base = await service.listen();
  t.equal((await fetch(`${base}/metrics`)).status, 404, 'not where everybody is');

  const read = async () => {
    const answer = await fetch(`http://127.0.0.1:${port}/metrics`);
    t.match(answer.headers.get('content-type'), /^text\/plain/);
    t.match(Object.fromEntries(answer.headers), headersOfEveryAnswer);
    return answer.text();
  };
  const before = await read();
  t.match(before, /^latchkey_mail_queued 0$/m);
  t.match(before, /^latchkey_mail_oldest_queued_seconds 0$/m);
  t.match(before, /^latchkey_mail_outage\{state="unreachable"\} 0$/m);
  t.match(before, /^latchkey_mail_attempts_total\{outcome="sent"\} 0$/m, 'what has not occurred is there to compare with');
  t.match(before, /^latchkey_logins_total\{outcome="succeeded"\} 0$/m);
  t.match(before, /^nodejs_eventloop_lag_seconds /m);

  await register(service);
  service.clock.advance({ minutes: 1 });
  await eventually('the outage is seen', () => service.app.services.mailOutage() !== undefined);
  const after = await read();
  t.match(after, /^latchkey_mail_queued 1$/m);
  t.match(after, /^latchkey_mail_outage\{state="unreachable"\} 1$/m);
  t.match(after, /^latchkey_mail_oldest_queued_seconds 6\d/m);

  for (const [path, method] of [
    ['', 'GET'],
    ['metrics', 'POST'],
  ] as const) {
    const answer = await fetch(`http://127.0.0.1:${port}/${path}`, { method });
    const { status, headers } = answer;
    t.match(await answer.json(), { type: '/problems/not_found', status: 404, code: 'not_found' });
    t.match(
      { status, ...Object.fromEntries(headers) },
      { status: 404, 'content-type': /^application\/problem\+json/, ...headersOfEveryAnswer },
    );
  }
  const there = `http://127.0.0.1:${port}`;
  assertProblem(t, await exchangeOne(there, 'garbage\r\n\r\n'), { status: 400, code: 'malformed_request' });
  t.equal((await exchangeOne(there, 'GET /metrics HTTP/1.1\r\nconnection: close\r\n\r\n')).status, 200, 'by whatever name');
});

t.test('the log tells where the metrics are, whichever port was free', async (t) => {
  const service = await startService(t, { METRICS_PORT: '0' });
  const lines = service.log.map((line) => JSON.parse(line)).filter(({ msg }) => /metrics/.test(msg));
  t.match(lines, [{ level: 30, msg: /^the metrics are at http:\/\/127\.0\.0\.1:[1-9]\d*\/metrics$/ }]);
  t.equal((await fetch(lines[0].msg.replace('the metrics are at ', ''))).status, 200);
});

t.test('metrics tell what the service does, each by a name that is documented', async (t) => {
  const port = await freePort();
  const service = await startService(t, { METRICS_PORT: String(port), RATE_LIMIT: 'off' });
  await service.listen();
  const read = async () => (await fetch(`http://127.0.0.1:${port}/metrics`)).text();
  const person = await register(service);
  const { email, password } = person;
  service.clock.advance({ seconds: 45 });
  const token = await logIn(service, person);
  await service.post('/auth/login', { email, password: 'wrong' });
  await service.post('/auth/login', { email: 'nobody@example.com', password: 'wrong' });
  await service.get('/secret', { token });
  await service.get(await confirmationPath(service, person), { token });
  await service.get('/secret/canary', { token });
  await service.get(await confirmationPath(service, person), { token });
  const reset = await resetToken(service, person);
  await service.post('/auth/password/reset', { token: reset, newPassword: `${password}!` });
  await eventually('both mails are counted', async () => /latchkey_mail_attempts_total\{outcome="sent"\} [23]/.test(await read()));

  const metrics = await read();
  const expected = [
    'latchkey_registrations_total 1',
    'latchkey_logins_total{outcome="succeeded"} 1',
    'latchkey_logins_total{outcome="failed"} 2',
    'latchkey_confirmation_seconds_count 1',
    'latchkey_confirmation_seconds_bucket{le="30"} 0',
    'latchkey_confirmation_seconds_bucket{le="60"} 1',
    'latchkey_requests_total{route="/auth/register",method="POST",status="201",code=""} 1',
    'latchkey_requests_total{route="/secret",method="GET",status="403",code="unconfirmed"} 1',
    'latchkey_requests_total{route="none",method="GET",status="404",code="not_found"} 1',
    'latchkey_requests_total{route="/auth/login",method="POST",status="401",code="invalid_credentials"} 2',
    'latchkey_request_duration_seconds_count{route="/auth/confirm/:token",method="GET"} 2',
    'latchkey_password_hashes{state="running"} 0',
    'latchkey_password_hashes{state="waiting"} 0',
    'latchkey_database_requests_waiting 0',
    `latchkey_database_connections_max ${onServer ? 10 : 0}`,
    'latchkey_mail_failed 0',
  ];
  for (const line of expected) t.ok(metrics.split('\n').includes(line), line);
  t.match(metrics, /^latchkey_password_hash_permits [1-9]/m);
  t.match(metrics, /^latchkey_revocation_feed_lag_seconds \d/m);
  t.match(metrics, /^latchkey_database_connections\{state="idle"\} \d/m);
  const states = (name: string) => [...metrics.matchAll(new RegExp(`^${name}{state="(\\w+)"} \\d+$`, 'gm'))].map(([, state]) => state);
  t.same(states('latchkey_password_hashes'), ['running', 'waiting'], 'what has states can be summed over them');
  t.same(states('latchkey_database_connections'), ['busy', 'idle']);
  t.notMatch(metrics, new RegExp(`canary|${email}|${person.id}`), 'nobody is named');

  await service.app.services.db.execute('alter table mails rename to gone' as never);
  const blind = await read();
  t.notMatch(blind, /^latchkey_mail_queued \d/m, 'what the database knows has no value while it does not answer');
  t.match(blind, /^latchkey_revocation_feed_lag_seconds \d/m, 'and what the instance knows is still there');
  await service.app.services.db.execute('alter table gone rename to mails' as never);

  const names = [...metrics.matchAll(/^# TYPE (latchkey_\w+) /gm)].map(([, name]) => name as string);
  const documented = [...(await readFile('docs/METRICS.md', 'utf8')).matchAll(/^\| `(latchkey_\w+)`/gm)].map(([, name]) => name as string);
  t.same([...names].sort(), [...documented].sort());
  for (const file of ['deploy/prometheus/alerts.yml', 'deploy/grafana/latchkey.json']) {
    const used = [...(await readFile(file, 'utf8')).matchAll(/\b((?:latchkey|nodejs|process)_\w+)/g)].map(([, name = '']) => name);
    t.ok(used.length > 5);
    for (const name of new Set(used)) t.match(metrics, new RegExp(`^${name}[{ ]`, 'm'), `${file}: ${name}`);
  }
});
