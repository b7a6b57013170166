import { once } from 'node:events';
import { connect } from 'node:net';
import t, { type Test } from 'tap';
import { eventually } from '../support/eventually.ts';
import { type Service, startService } from '../support/service.ts';

/** For ten seconds it would be waited for whoever has asked for something. */
async function closesSoon(t: Test, { app }: Service): Promise<void> {
  const since = performance.now();
  await app.close();
  t.ok(performance.now() - since < 8000, 'nobody was waited for');
}

t.test('a connection over which nothing was ever sent does not keep the service from closing', async (t) => {
  const service = await startService(t);
  const { hostname, port } = new URL(await service.listen());
  const sockets = await Promise.all(
    Array.from({ length: 3 }, async () => {
      const socket = connect(Number(port), hostname);
      await once(socket, 'connect');
      return socket;
    }),
  );
  const connections = () => new Promise<number>((resolve) => service.app.server.getConnections((_error, count) => resolve(count)));
  await eventually('the server has accepted them', async () => (await connections()) === 3);
  // Otherwise they would be kept for as long as a request may take, which is longer than is waited for here.
  const ended = sockets.map((socket) => once(socket, 'close'));
  await closesSoon(t, service);
  await Promise.all(ended);
  t.equal(await connections(), 0);
});

t.test('nor does one over which an answer has come, beside one that is silent', async (t) => {
  const service = await startService(t);
  const { hostname, port } = new URL(await service.listen());
  const [answered, silent] = [connect(Number(port), hostname), connect(Number(port), hostname)];
  answered.write('GET /health/live HTTP/1.1\r\nHost: localhost\r\n\r\n');
  const [[chunk]] = await Promise.all([once(answered, 'data'), once(silent, 'connect')]);
  t.match(String(chunk), /^HTTP\/1\.1 200 /);
  const ended = [answered, silent].map((socket) => once(socket, 'close'));
  await closesSoon(t, service);
  await Promise.all(ended);
  t.notOk(service.app.server.listening);
});
