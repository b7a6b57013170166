import { createServer } from 'node:net';
import t from 'tap';
import { eventually } from '../support/eventually.ts';
import { register } from '../support/person.ts';
import { startService } from '../support/service.ts';
import { headersOfEveryAnswer } from '../support/wire.ts';

/** A port that is free now. */
async function freePort(): Promise<number> {
  const server = createServer();
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  const { port } = server.address() as { port: number };
  await new Promise<void>((resolve) => server.close(() => resolve()));
  return port;
}

t.test('metrics are on a port of their own, and tell of the mail queue', async (t) => {
  const port = await freePort();
  const closed = await freePort();
  const service = await startService(t, { METRICS_PORT: String(port), SMTP_URL: `smtp://127.0.0.1:${closed}` });
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
  t.match(before, /^nodejs_eventloop_lag_seconds /m);

  await register(service);
  service.clock.advance({ minutes: 1 });
  await eventually('the outage is seen', () => service.app.services.mailOutage() !== undefined);
  const after = await read();
  t.match(after, /^latchkey_mail_queued 1$/m);
  t.match(after, /^latchkey_mail_outage\{state="unreachable"\} 1$/m);
  t.match(after, /^latchkey_mail_oldest_queued_seconds 6\d/m);

  t.equal((await fetch(`http://127.0.0.1:${port}/`)).status, 404);
  t.equal((await fetch(`http://127.0.0.1:${port}/metrics`, { method: 'POST' })).status, 404);
});
