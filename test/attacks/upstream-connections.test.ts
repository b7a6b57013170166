import { once } from 'node:events';
import type { ServerResponse } from 'node:http';
import { connect, type Socket } from 'node:net';
import { promisify } from 'node:util';
import t, { type Test } from 'tap';
import { eventually } from '../support/eventually.ts';
import { confirmedPerson, logIn } from '../support/person.ts';
import { startGateway } from '../support/upstream.ts';
import { exchange, requestBytes } from '../support/wire.ts';

/** A connection over which something has been sent. */
function send(t: Test, base: string, bytes: string): Socket {
  const { hostname, port } = new URL(base);
  const socket = connect(Number(port), hostname, () => socket.write(bytes));
  t.teardown(() => socket.destroy());
  return socket.on('error', () => {});
}

/** A request after whose answer the connection stays open. */
const request = (path: string, fields: Readonly<Record<string, string>> = {}) =>
  requestBytes('GET', path, { connection: 'keep-alive', ...fields });

const upgrade = (path: string, protocol: string) =>
  requestBytes('GET', path, {
    connection: 'Upgrade',
    upgrade: protocol,
    'sec-websocket-version': '13',
    'sec-websocket-key': 'dGhlIHNhbXBsZSBub25jZQ==',
  });

/** An application of which some answers never come, or never end. */
async function startPatientGateway(t: Test) {
  const waiting: ServerResponse[] = [];
  const endless: ServerResponse[] = [];
  const pour = (_request: unknown, response: ServerResponse) => {
    endless.push(response.writeHead(200));
    response.on('drain', () => pourMore(response));
    pourMore(response);
  };
  const behaviours = {
    '/open/waits': (_request: unknown, response: ServerResponse) => void waiting.push(response),
    '/open/endless': pour,
    '/endless': pour,
  };
  return { ...(await startGateway(t, { UPSTREAM_PUBLIC_PATHS: '/open' }, behaviours)), waiting, endless };
}

function pourMore(response: ServerResponse): void {
  while (response.write('x'.repeat(10_000)));
}

t.test('a request for another protocol that comes while an earlier one is answered ends the connection, and nothing else', async (t) => {
  const { service, base } = await startPatientGateway(t);
  for (const protocol of ['websocket', 'h2c']) {
    t.same(await exchange(base, request('/open/waits') + upgrade('/open/live', protocol)), []);
  }
  t.equal((await service.get('/health/live')).status, 200);
});

t.test('a client that breaks off while it asks for another protocol harms nobody', async (t) => {
  const { service, base, waiting } = await startPatientGateway(t);
  const connections = promisify(service.app.server.getConnections.bind(service.app.server));
  for (let round = 1; round <= 5; round += 1) {
    const socket = send(t, base, upgrade('/open/waits', 'h2c'));
    await eventually('the application has been asked', () => waiting.length === round);
    socket.resetAndDestroy();
  }
  await eventually('the service has let go of all', async () => (await connections()) === 0);
});

t.test('a WebSocket whose client leaves before the application has answered is not kept open', async (t) => {
  const { base, upstream } = await startPatientGateway(t);
  const count = 20;
  for (let each = 0; each < count; each += 1) {
    const socket = send(t, base, upgrade('/open/live', 'websocket'));
    await once(socket, 'data');
    socket.destroy();
  }
  await eventually('all of them have come', () => upstream.sockets.length === count);
  await eventually('all of them have gone', () => upstream.sockets.every(({ readyState, CLOSED }) => readyState === CLOSED));
});

t.test('a stream ends with its session, wherever in a connection it stands, and on a public path, too', async (t) => {
  const { service, base } = await startPatientGateway(t);
  const person = await confirmedPerson(service);
  for (const [what, requests] of Object.entries({
    second: ['/page', '/endless'],
    'before one of nobody': ['/endless', '/open/waits'],
    public: ['/open/endless'],
  })) {
    const token = await logIn(service, person);
    const authorization = `Bearer ${token}`;
    const socket = send(t, base, requests.map((path) => request(path, path === '/open/waits' ? {} : { authorization })).join(''));
    let bytes = 0;
    socket.on('data', (chunk) => {
      bytes += chunk.length;
    });
    await eventually('the stream has begun', () => bytes > 20_000);
    const closed = once(socket, 'close');
    await service.post('/auth/logout', undefined, { token });
    await closed;
    t.pass(what);
  }
});

t.test('answers that wait for their turn are given up with their connection', async (t) => {
  const { base, endless } = await startPatientGateway(t);
  const socket = send(t, base, request('/open/waits') + request('/open/endless') + request('/open/endless'));
  await eventually('the application answers', () => endless.length === 2);
  socket.destroy();
  await eventually('nobody waits for it', () => endless.every(({ closed }) => closed));
});
