import { once } from 'node:events';
import type { Server } from 'node:http';
import { connect, type Socket } from 'node:net';
import t, { type Test } from 'tap';
import { eventually } from '../support/eventually.ts';
import { logIn, register } from '../support/person.ts';
import { startService } from '../support/service.ts';
import { assertProblem, exchangeOne, parseAnswers, requestBytes } from '../support/wire.ts';

/** Long enough for an honest client on a busy machine, and short enough to wait for. */
const shortMs = { headers: 1500, request: 2500, silence: 2000, keepAlive: 1000 };
const dripEveryMs = 100;

interface SlowClient {
  readonly socket: Socket;
  text: string;
  /** The server has let go of the connection. */
  isCutOff: boolean;
}

/** Opens a connection and sends something, then, for as long as the server stands it, a piece again and again. */
function openSlowly(t: Test, server: Server, bytes: string, drip?: string): SlowClient {
  const { port } = server.address() as { port: number };
  const socket = connect({ port, host: '127.0.0.1', allowHalfOpen: true }, () => socket.write(bytes));
  const client: SlowClient = { socket, text: '', isCutOff: false };
  const dripping = drip === undefined ? undefined : setInterval(() => socket.writable && socket.write(drip), dripEveryMs);
  const cutOff = () => {
    client.isCutOff = true;
    clearInterval(dripping);
  };
  socket.on('data', (chunk) => {
    client.text += chunk;
  });
  socket.on('end', cutOff).on('error', cutOff).on('close', cutOff);
  t.teardown(() => {
    clearInterval(dripping);
    socket.destroy();
  });
  return client;
}

function connectionsOf(server: Server): Promise<number> {
  return new Promise((resolve, reject) => server.getConnections((error, count) => (error ? reject(error) : resolve(count))));
}

const post = (fields: Readonly<Record<string, string>>) =>
  requestBytes('POST', '/auth/login', { connection: 'keep-alive', 'content-type': 'application/json', ...fields });
const ok = requestBytes('GET', '/health/live', { connection: 'keep-alive' });

t.test('the limits of the server', async (t) => {
  const { server } = (await startService(t)).app;
  t.ok(server.headersTimeout > 0 && server.headersTimeout <= 15_000, 'for the headers');
  t.ok(server.requestTimeout > 0 && server.requestTimeout <= 30_000, 'for a whole request');
  t.ok(server.timeout > 0 && server.timeout <= 60_000, 'for a connection on which nothing moves');
  t.ok(server.keepAliveTimeout > 0, 'for one over which nothing more is asked');
  t.ok(server.maxConnections > 0 && server.maxConnections <= 10_000, 'for all of them');
});

t.test('clients that hold connections', async (t) => {
  const service = await startService(t, { RATE_LIMIT: 'off' });
  const { server } = service.app;
  server.headersTimeout = shortMs.headers;
  server.requestTimeout = shortMs.request;
  server.timeout = shortMs.silence;
  server.keepAliveTimeout = shortMs.keepAlive;
  const base = await service.listen();

  t.test('X01 every one that never finishes is cut off, and the others are answered meanwhile', async (t) => {
    const chunked = { 'transfer-encoding': 'chunked' };
    const slow: Record<string, SlowClient> = {
      'nothing is said': openSlowly(t, server, ''),
      'empty lines before a request': openSlowly(t, server, '\r\n', '\r\n'),
      'a request line by the byte': openSlowly(t, server, 'GET /', 'a'),
      'a header field by the byte': openSlowly(t, server, 'GET / HTTP/1.1\r\nHost: x\r\nX: ', 'a'),
      'one header field after another': openSlowly(t, server, 'GET / HTTP/1.1\r\nHost: x\r\n', 'X: y\r\n'),
      'a body that does not come': openSlowly(t, server, post({ 'content-length': '100' })),
      'a body by the byte': openSlowly(t, server, post({ 'content-length': '1000' }), ' '),
      'a body by the byte where none is wanted': openSlowly(
        t,
        server,
        post({ 'content-length': '1000' }).replace('/auth/login', '/nowhere'),
        ' ',
      ),
      'chunks without end': openSlowly(t, server, post(chunked), '1\r\n \r\n'),
      'a chunk extension by the byte': openSlowly(t, server, `${post(chunked)}1;`, 'a'),
      'trailers without end': openSlowly(t, server, `${post(chunked)}0\r\n`, 'X: y\r\n'),
      'an answer, and then nothing': openSlowly(t, server, ok),
      'an answer, and then half a request': openSlowly(t, server, `${ok}GET / HT`),
      'an answer, and then an empty line': openSlowly(t, server, `${ok}\r\n`),
      'a refusal, and an end that is kept open': openSlowly(t, server, 'garbage\r\n\r\n'),
      'an answer and a refusal, and an end that is kept open': openSlowly(t, server, `${ok}garbage\r\n\r\n`),
    };
    const honest = () => exchangeOne(base, requestBytes('GET', '/health/live'));
    t.equal((await honest()).status, 200);
    for (const [what, client] of Object.entries(slow)) await eventually(`${what}: it is cut off`, () => client.isCutOff, 20_000);
    await eventually('the server holds none of them', async () => (await connectionsOf(server)) === 0);
    t.equal((await honest()).status, 200);
    for (const [what, { text }] of Object.entries(slow)) {
      t.ok(
        parseAnswers(text).every(({ status }) => [200, 400, 404, 408].includes(status)),
        `${what}: ${parseAnswers(text).map(({ status }) => status)}`,
      );
    }
  });

  t.test('X01 one that does not read what it asked for is cut off', async (t) => {
    // More than the buffers of both ends hold.
    const greedy = openSlowly(t, server, requestBytes('GET', '/openapi.json', { connection: 'keep-alive' }).repeat(400));
    greedy.socket.pause();
    await once(greedy.socket, 'connect');
    await eventually('it has been accepted', async () => (await connectionsOf(server)) === 1);
    await eventually('the server has let go of it', async () => (await connectionsOf(server)) === 0, 20_000);
    t.ok(true);
  });

  t.test('X01 a tab that waits for its confirmation is none of them', async (t) => {
    const { email, password } = await register(service);
    const token = await logIn(service, { email, password });
    const fields = { connection: 'keep-alive', authorization: `Bearer ${token}`, 'user-agent': 'lightMyRequest' };
    // The heartbeat of the stream comes sooner than what ends a silent connection, which is shorter here than it is.
    server.timeout = 0;
    const waiting = openSlowly(t, server, requestBytes('GET', '/auth/confirm/events', fields));
    await eventually('the stream has begun', () => waiting.text.includes('retry:'));
    const stalled = openSlowly(t, server, 'GET / HTTP/1.1\r\n');
    await eventually('one that stalls is cut off meanwhile', () => stalled.isCutOff, 20_000);
    t.notOk(waiting.isCutOff);
    waiting.socket.destroy();
  });

  t.test('X01 no more connections are held than there may be, and a place that gets free is given away', async (t) => {
    await eventually('all others are gone', async () => (await connectionsOf(server)) === 0);
    const { keepAliveTimeout, maxConnections } = server;
    Object.assign(server, { keepAliveTimeout: 60_000, maxConnections: 3 });
    t.teardown(() => void Object.assign(server, { keepAliveTimeout, maxConnections }));
    const held = Array.from({ length: 3 }, () => openSlowly(t, server, ok));
    await eventually('all three are answered', () => held.every(({ text }) => text.includes('200 OK')));
    const further = openSlowly(t, server, ok);
    await eventually('a fourth is cut off', () => further.isCutOff);
    t.equal(further.text, '');
    held[0]?.socket.destroy();
    await eventually('one has gone', async () => (await connectionsOf(server)) < 3);
    t.equal((await exchangeOne(base, requestBytes('GET', '/health/live'))).status, 200);
  });
});

t.test('requests without measure, sent as fast as can be', async (t) => {
  const base = await (await startService(t)).listen();
  const tooLarge = { status: 431, code: 'headers_too_large' };
  const malformed = { status: 400, code: 'malformed_request' };
  const withFields = (fields: string) => requestBytes('GET', '/health/live').replace('\r\n\r\n', `\r\n${fields}\r\n`);

  t.test('X01 thousands of header fields are refused, however short they are', async (t) => {
    for (const count of [101, 1000, 2100, 5000]) assertProblem(t, await exchangeOne(base, withFields('a:\r\n'.repeat(count))), tooLarge);
    t.equal((await exchangeOne(base, withFields('a:\r\n'.repeat(90)))).status, 200);
  });

  t.test('X01 no field gets lost behind many others, as the one of a proxy would', async (t) => {
    const fields = `${'a:\r\n'.repeat(2100)}Authorization: Bearer x\r\n`;
    assertProblem(t, await exchangeOne(base, withFields(fields).replace('/health/live', '/secret')), tooLarge);
  });

  t.test('X01 a chunk extension that is huge is refused, as is a chunk', async (t) => {
    const chunked = (chunk: string) =>
      `${requestBytes('POST', '/auth/login', { 'content-type': 'application/json', 'transfer-encoding': 'chunked' })}${chunk}`;
    assertProblem(t, await exchangeOne(base, chunked(`2;${'a'.repeat(40_000)}\r\n{}\r\n0\r\n\r\n`)), malformed);
    assertProblem(t, await exchangeOne(base, chunked(`2;${'a=b;'.repeat(10_000)}\r\n{}\r\n0\r\n\r\n`)), malformed);
    assertProblem(t, await exchangeOne(base, chunked('fffffffffffffffff\r\n')), malformed);
    assertProblem(t, await exchangeOne(base, chunked(`5000\r\n${' '.repeat(0x5000)}\r\n0\r\n\r\n`)), {
      status: 413,
      code: 'payload_too_large',
    });
    assertProblem(t, await exchangeOne(base, chunked('1\r\n \r\n'.repeat(20_000))), { status: 413, code: 'payload_too_large' });
    assertProblem(t, await exchangeOne(base, chunked('2;a=b\r\n{}\r\n0\r\n\r\n')), { status: 400, code: 'validation_failed' });
  });
});
