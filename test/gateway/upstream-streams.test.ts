import { createHash, randomBytes } from 'node:crypto';
import { once } from 'node:events';
import { Agent, get } from 'node:http';
import { connect } from 'node:net';
import t from 'tap';
import { type ClientOptions, WebSocket } from 'ws';
import { confirmedPerson, logIn, register } from '../support/person.ts';
import { startGateway } from '../support/upstream.ts';
import { echo, openSocket } from '../support/web-socket.ts';
import { postBytes } from '../support/wire.ts';

t.test('WebSockets', async (t) => {
  const { service, base, upstream } = await startGateway(t, { UPSTREAM_PUBLIC_PATHS: '/open' });
  const person = await confirmedPerson(service);
  const bearer = { headers: { authorization: `Bearer ${person.token}` } };

  /** Opens one, and waits until the application has heard of it, which is later. */
  async function reached(path: string, options: ClientOptions): Promise<void> {
    t.equal((await echo(await openSocket(t, base, path, options), 'x')).data.toString(), 'x');
  }

  t.test('reach the application, with whose they are, and carry what is sent both ways', async (t) => {
    const spoofed = { 'X-Auth-User-Id': 'evil', x_auth_role: 'admin', cookie: `theme=dark; access=${person.token}` };
    const socket = await openSocket(t, base, '/live?room=1&x=%2F', { headers: { ...bearer.headers, ...spoofed } }, ['chat', 'other']);
    t.equal(socket.protocol, 'chat');
    t.equal((await echo(socket, 'hello')).data.toString(), 'hello');
    const binary = randomBytes(300_000);
    t.match(await echo(socket, binary), { data: binary, isBinary: true });
    const handshake = upstream.passed.at(-1);
    t.match(handshake, {
      url: '/live?room=1&x=%2F',
      headers: { 'x-auth-user-id': person.id, 'x-auth-role': 'user', cookie: 'theme=dark' },
    });
    t.match(handshake?.headers, { 'sec-websocket-protocol': 'chat', x_auth_role: undefined, authorization: undefined });
    const closed = once(socket, 'close');
    upstream.sockets.at(-1)?.close(4001, 'enough');
    const [code, reason] = await closed;
    t.same([code, String(reason)], [4001, 'enough'], 'the application may end them');
  });

  t.test('are closed to those to whom the application is', async (t) => {
    const before = upstream.passed.length;
    await t.rejects(openSocket(t, base, '/live'), /refused with 401/);
    await t.rejects(openSocket(t, base, '/live', { headers: { authorization: 'Bearer x' } }), /refused with 401/);
    const unconfirmed = await logIn(service, await register(service));
    await t.rejects(openSocket(t, base, '/live', { headers: { authorization: `Bearer ${unconfirmed}` } }), /refused with 403/);
    await t.rejects(openSocket(t, base, '/auth/me', bearer), /refused with 200/, 'there is none at the service itself');
    t.equal(upstream.passed.length, before);
    await reached('/open/live', {});
    t.equal(upstream.passed.at(-1)?.headers['x-auth-user-id'], undefined);
  });

  t.test('by cookie open from our own pages only', async (t) => {
    const cookie = `access=${person.token}`;
    for (const headers of [
      { cookie },
      { cookie, origin: 'https://evil.test' },
      { cookie, origin: 'https://evil.test', 'sec-fetch-site': 'same-site' },
    ]) {
      await t.rejects(openSocket(t, base, '/live', { headers }), /refused with 403/);
    }
    await openSocket(t, base, '/live', { headers: { cookie, origin: 'http://localhost:3000' } });
    await openSocket(t, base, '/live', { headers: { cookie, 'sec-fetch-site': 'same-origin' } });
    await reached('/open/live', { headers: { cookie, origin: 'https://evil.test' } });
    t.equal(upstream.passed.at(-1)?.headers['x-auth-user-id'], undefined, 'where everybody may, as nobody');
  });

  t.test('end when their session does', async (t) => {
    const [token, other] = [await logIn(service, person), await logIn(service, person)];
    const [mine, others] = await Promise.all(
      [token, other].map((each) => openSocket(t, base, '/live', { headers: { authorization: `Bearer ${each}` } })),
    );
    const closed = once(mine as WebSocket, 'close');
    await service.post('/auth/logout', undefined, { token });
    await closed;
    t.equal((await echo(others as WebSocket, 'still here')).data.toString(), 'still here');
  });

  t.test('of an application that is gone end at once', async (t) => {
    upstream.stop();
    const socket = new WebSocket(`${base.replace('http', 'ws')}/live`, bearer);
    t.teardown(() => socket.terminate());
    const [code, reason] = await once(socket, 'close');
    t.same([code, String(reason)], [1011, 'bad gateway'], 'and say nothing of where it was');
    t.ok(
      service.log.some((line) => line.includes('a WebSocket to the application has failed') && line.includes('ECONNREFUSED')),
      'the log does',
    );
  });
});

t.test('streams', async (t) => {
  const { service, base, upstream } = await startGateway(
    t,
    { UPSTREAM_PUBLIC_PATHS: '/open' },
    {
      '/events': (_request, response) => {
        response.writeHead(200, { 'content-type': 'text/event-stream' }).write('data: first\n\n');
      },
    },
  );
  const person = await confirmedPerson(service);

  t.test('an upload is passed on as it comes, however large', async (t) => {
    const body = randomBytes(24 * 1024 * 1024);
    const headers = { authorization: `Bearer ${person.token}`, 'content-type': 'application/json' };
    const whole = await fetch(`${base}/upload`, { method: 'PUT', headers, body });
    const bodyDigest = createHash('sha256').update(body).digest('hex');
    t.match(await whole.json(), { bodyBytes: body.length, bodyDigest, headers: { 'content-length': String(body.length) } });
    const chunked = await fetch(`${base}/upload`, {
      method: 'POST',
      headers,
      body: new Blob([body]).stream(),
      duplex: 'half',
    } as RequestInit);
    t.match(await chunked.json(), { bodyBytes: body.length, bodyDigest });
    t.ok(upstream.passed.at(-1)?.headers['transfer-encoding'] === 'chunked');
  });

  t.test('an answer is passed on as it comes, and ends when its session does', async (t) => {
    const token = await logIn(service, person);
    const agent = new Agent();
    t.teardown(() => agent.destroy());
    const request = get(`${base}/events`, { agent, headers: { authorization: `Bearer ${token}` } });
    const [answer] = await once(request, 'response');
    const [first] = await once(answer, 'data');
    t.equal(String(first), 'data: first\n\n', 'before there is more');
    const end = new Promise<string>((resolve) => answer.once('aborted', () => resolve('cut')).once('end', () => resolve('ended')));
    answer.on('error', () => {});
    await service.post('/auth/logout', undefined, { token });
    t.equal(await end, 'cut');
  });
});

t.test('what is open does not keep the service from closing', async (t) => {
  const { service, base } = await startGateway(t, { UPSTREAM_PUBLIC_PATHS: '/open' });
  const socket = await openSocket(t, base, '/open/live');
  const closed = once(socket, 'close');
  await service.app.close();
  const [code] = await closed;
  t.equal(code, 1005, 'it is told to go, in its own protocol');
});

t.test('nor does a client that goes on too slowly', async (t) => {
  const { service, base } = await startGateway(
    t,
    { UPSTREAM_PUBLIC_PATHS: '/open' },
    { '/open': (request) => void request.resume().on('error', () => {}) },
  );
  const { hostname, port } = new URL(base);
  const begun = ['/open', '/auth/login'].map((path) => {
    const socket = connect(Number(port), hostname, () =>
      socket.write(postBytes(path, '{', { expect: '100-continue', 'content-length': '9' })),
    );
    t.teardown(() => socket.destroy());
    socket.on('error', () => {});
    return once(socket, 'data');
  });
  await Promise.all(begun);
  await service.app.close();
});
