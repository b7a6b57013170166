import { once } from 'node:events';
import { createServer as createSecureServer } from 'node:https';
import type { AddressInfo } from 'node:net';
import { connect } from 'node:net';
import t, { type Test } from 'tap';
import { WebSocket } from 'ws';
import { cert, key } from '../support/certificate.ts';
import { confirmedPerson } from '../support/person.ts';
import { startGateway } from '../support/upstream.ts';
import { assertProblem, exchange, exchangeOne, requestBytes } from '../support/wire.ts';

t.test('no spelling of a path opens what is closed', async (t) => {
  const { base, upstream } = await startGateway(t, { UPSTREAM_PUBLIC_PATHS: '/open' });
  const climbing = ['..', '%2e%2e', '.%2E', '%252e%252e', '%25252e.', '..;', '..;a=b', '%2e%2e;x', '..%3b', '.'];
  const separators = ['/', '%2f', '%2F', '\\', '%5c', '%255c', '%252f', '//', ';/'];
  const targets = climbing.flatMap((up) => separators.flatMap((slash) => [`/open/${up}${slash}closed`, `/open${slash}${up}/closed`]));
  const others = [
    '//open/../closed',
    '/open#/../closed',
    '/open/%00/../closed',
    '/open/%0a..%0a/closed',
    '/open/\t../closed',
    '/open%',
    '/open/%zz/x',
    '/open/%c0%ae%c0%ae/closed',
    '/open/%ff',
    'http://elsewhere.test/open/../closed',
    'http://elsewhere.test/open',
    'open',
    '/closed/../open',
    '/closed;/open',
    '/OPEN/x',
    '/%6fpen%2f..%2fclosed',
    '/open%2f..%2f..%2fclosed',
    '/open%23/../closed',
    '/open%3f/../closed',
    '*',
  ];
  for (const target of [...targets, ...others]) {
    for (const method of ['GET', 'POST']) {
      const before = upstream.passed.length;
      const answers = await exchange(base, requestBytes(method, target));
      for (const { status } of answers) t.ok([400, 401, 404].includes(status), `${method} ${target}: ${status}`);
      const told = upstream.passed.slice(before).map(({ url }) => url);
      t.ok(answers.length <= 1 && told.length === 0, `${method} ${target} did not reach it: ${told}`);
    }
  }
  const reached = ['/open/a..b', '/open/.well-known/x', '/open/a%2fb', '/open/a%20b', '/%6fpen/x', '/open//x', '/open/x?../../closed'];
  for (const target of reached) {
    t.equal((await exchangeOne(base, requestBytes('GET', target))).status, 200, target);
    t.equal(upstream.passed.at(-1)?.url, target, 'as it was sent');
  }
});

t.test('what can be read as two requests is passed on as none', async (t) => {
  const { service, base, upstream } = await startGateway(t, { UPSTREAM_PUBLIC_PATHS: '/open' });
  const { token } = await confirmedPerson(service);
  const smuggled = 'GET /closed HTTP/1.1\r\nHost: localhost\r\nX-Auth-User-Id: evil\r\n\r\n';
  const chunked = `5\r\nhello\r\n0\r\n\r\n`;
  const head = (method: string, ...fields: string[]) =>
    `${method} /open HTTP/1.1\r\nHost: localhost\r\n${fields.map((each) => `${each}\r\n`).join('')}\r\n`;
  const ambiguous = [
    head('POST', 'Content-Length: 5', 'Transfer-Encoding: chunked') + chunked + smuggled,
    head('POST', 'Transfer-Encoding: chunked', 'Transfer-Encoding: identity') + chunked + smuggled,
    head('POST', 'Transfer-Encoding: gzip, chunked') + chunked + smuggled,
    head('POST', 'Transfer-Encoding : chunked') + chunked + smuggled,
    head('POST', 'Transfer-Encoding: xchunked') + smuggled,
    head('POST', 'Content-Length: 5', 'Content-Length: 6') + smuggled,
    head('POST', 'Content-Length: +5') + smuggled,
    head('POST', 'Content-Length: 0x5') + smuggled,
    `${head('GET', `Content-Length: ${smuggled.length}`)}${smuggled}`,
    `${head('GET', 'Transfer-Encoding: chunked')}${chunked}`,
    `POST /open HTTP/1.0\r\nHost: localhost\r\nTransfer-Encoding: chunked\r\n\r\n${chunked}${smuggled}`,
    head('GET', 'Host: elsewhere'),
    head('POST', `Connection: Upgrade`, `Upgrade: h2c`, `Content-Length: ${smuggled.length}`) + smuggled,
  ];
  for (const bytes of ambiguous) {
    const before = upstream.passed.length;
    const answers = await exchange(base, bytes);
    t.ok(answers.length <= 1, 'one answer at most');
    for (const answer of answers) assertProblem(t, answer, { status: 400, code: 'malformed_request' });
    t.equal(upstream.passed.length, before, bytes.slice(0, 120));
  }
  t.test('fields of the connection, and those that it names, stay on it', async (t) => {
    const fields = {
      authorization: `Bearer ${token}`,
      connection: 'close, X-Hop, keep-alive',
      'x-hop': 'canary',
      'keep-alive': 'canary=1',
      'proxy-authorization': 'Basic canary',
      'proxy-connection': 'canary',
      te: 'trailers, canary',
      trailer: 'canary',
      expect: 'canary',
      content_length: '3 canary',
    };
    t.equal((await exchangeOne(base, requestBytes('POST', '/closed', fields, '{"a":1}'))).status, 200);
    t.notMatch(JSON.stringify(upstream.passed.at(-1)), /canary/);
    t.equal(upstream.passed.at(-1)?.bodyBytes, 7);
  });
});

t.test('an application’s answer cannot break into the connection or the session', async (t) => {
  const hop = { connection: 'x-hop', 'x-hop': 'canary', 'keep-alive': 'timeout=canary', 'proxy-authenticate': 'canary', upgrade: 'canary' };
  const { service, upstream } = await startGateway(
    t,
    { UPSTREAM_PUBLIC_PATHS: '/open' },
    {
      '/hop': (_request, response) => response.writeHead(200, hop).end('{}'),
      '/open/cookies': (_request, response) =>
        response.setHeader('set-cookie', ['access=evil; Path=/', 'theme=dark', ' refresh=evil']).end('{}'),
      '/shared': (_request, response) => response.setHeader('cache-control', 'public, max-age=60, s-maxage=900').end('{}'),
      '/never': (_request, response) => response.setHeader('cache-control', 'No-Store').end('{}'),
      '/open/shared': (_request, response) => response.setHeader('cache-control', 'public, max-age=60').end('{}'),
      '/away': (_request, response) => response.writeHead(302, { location: `${upstream.base}/there?a=1` }).end(),
      '/own': (_request, response) => response.writeHead(302, { location: '/there' }).end(),
      '/twice': ({ socket }) =>
        void socket.end(
          ['HTTP/1.1 302 Found', 'Cache-Control: public', 'Cache-Control: max-age=60', 'Location: /a', 'Location: /b', 'Connection: x-hop']
            .concat('Connection: close', 'X-Hop: canary', 'Content-Length: 0', '', '')
            .join('\r\n'),
        ),
      '/policy': (_request, response) =>
        response.writeHead(200, { 'content-security-policy': "default-src 'self'", 'x-frame-options': 'SAMEORIGIN' }).end(),
    },
  );
  const { token } = await confirmedPerson(service);
  const answer = await service.get('/hop', { token });
  t.equal(answer.status, 200);
  t.notMatch(JSON.stringify(answer.headers), /canary/);
  t.same((await service.get('/open/cookies')).headers['set-cookie'], ['theme=dark']);
  t.equal((await service.get('/shared', { token })).headers['cache-control'], 'private, max-age=60');
  t.equal((await service.get('/never', { token })).headers['cache-control'], 'No-Store');
  t.equal((await service.get('/open/shared')).headers['cache-control'], 'public, max-age=60');
  t.equal((await service.get('/open/shared', { token })).headers['cache-control'], 'private, max-age=60', 'it may hold what only they see');
  t.equal((await service.get('/away', { token })).headers['location'], 'http://localhost:3000/there?a=1');
  t.equal((await service.get('/own', { token })).headers['location'], '/there');
  const twice = await service.get('/twice', { token });
  t.match(twice, { status: 302, headers: { 'cache-control': 'private, max-age=60', 'x-hop': undefined } }, 'a field may come twice');
  t.match((await service.get('/policy', { token })).headers, {
    'content-security-policy': "default-src 'self'",
    'x-frame-options': 'SAMEORIGIN',
  });
});

t.test('an application that takes too long is a problem of its own', async (t) => {
  const limits = { UPSTREAM_PUBLIC_PATHS: '/open', UPSTREAM_TIMEOUT_SECONDS: '1' };
  const { base } = await startGateway(t, limits, { '/open/hangs': () => {} });
  assertProblem(t, await exchangeOne(base, requestBytes('GET', '/open/hangs')), { status: 504, code: 'gateway_timeout' });
});

t.test('an application that fails is a problem of its own', async (t) => {
  const { service, base, upstream } = await startGateway(
    t,
    { UPSTREAM_PUBLIC_PATHS: '/open' },
    {
      '/open/dies': (_request, response) => response.destroy(),
      '/open/breaks-off': (_request, response) =>
        void response.writeHead(200, { 'content-length': '100' }).write('half', () => response.destroy()),
      '/open/lies': ({ socket }) => void socket.end('HTTP/1.1 200 OK\r\nContent-Length: 5\r\nContent-Length: 6\r\n\r\nhello'),
      '/open/babbles': ({ socket }) => void socket.end('what?\r\n\r\n'),
      '/open/odd': ({ socket }) =>
        void socket.end('HTTP/1.1 999 Odd\r\nContent-Encoding: gzip\r\nSet-Cookie: odd=1\r\nContent-Length: 5\r\n\r\nhello'),
      '/open/unwell': (_request, response) => response.writeHead(503, { 'retry-after': '7' }).end('unwell'),
    },
  );
  const problem = (path: string, method = 'GET') => exchangeOne(base, requestBytes(method, path));
  for (const path of ['/open/dies', '/open/lies', '/open/babbles']) {
    assertProblem(t, await problem(path), { status: 502, code: 'bad_gateway' });
    assertProblem(t, await problem(path, 'POST'), { status: 502, code: 'bad_gateway' });
  }
  const odd = await problem('/open/odd');
  assertProblem(t, odd, { status: 502, code: 'bad_gateway' });
  t.match(odd.headers, { 'set-cookie': undefined, 'content-encoding': undefined }, 'nothing of what was no answer is passed on');
  await t.rejects(service.get('/open/breaks-off'), 'half an answer is not passed on as a whole one');
  t.match(await service.get('/open/unwell'), { status: 503, text: 'unwell', headers: { 'retry-after': '7' } }, 'its own words are');
  upstream.stop();
  assertProblem(t, await problem('/open'), { status: 502, code: 'bad_gateway' });
  t.equal((await service.get('/health/ready')).status, 200, 'the service itself is well');
  t.ok(
    service.log.some((line) => line.includes('ECONNREFUSED')),
    'the log says why',
  );
});

t.test('an application whose certificate nobody has signed is not talked to', async (t) => {
  let asked = 0;
  const server = createSecureServer({ cert, key }, (_request, response) => {
    asked += 1;
    response.end('from somebody else');
  });
  await once(server.listen(0, '127.0.0.1'), 'listening');
  t.teardown(() => {
    server.closeAllConnections();
    server.close();
  });
  const { port } = server.address() as AddressInfo;
  const { base } = await startGateway(t, { UPSTREAM_PUBLIC_PATHS: '/open', UPSTREAM_URL: `https://localhost:${port}` });
  for (const method of ['GET', 'POST'])
    assertProblem(t, await exchangeOne(base, requestBytes(method, '/open')), { status: 502, code: 'bad_gateway' });
  const socket = new WebSocket(`${base.replace('http', 'ws')}/open`);
  t.teardown(() => socket.terminate());
  t.same(await once(socket, 'close').then(([code]) => code), 1011);
  t.equal(asked, 0);
});

t.test('a client that goes away is not waited for', async (t) => {
  let isLetGo: () => void = () => {};
  const letGo = new Promise<void>((resolve) => {
    isLetGo = resolve;
  });
  const { base } = await startGateway(
    t,
    { UPSTREAM_PUBLIC_PATHS: '/open' },
    {
      '/open/endless': (_request, response) => {
        response.writeHead(200).write('…');
        response.once('close', isLetGo);
      },
    },
  );
  await readOnce(t, base, requestBytes('GET', '/open/endless'));
  await letGo;
});

/** Sends a request, waits for the first bytes of the answer, and is gone. */
async function readOnce(t: Test, base: string, bytes: string): Promise<void> {
  const { hostname, port } = new URL(base);
  const socket = connect(Number(port), hostname, () => socket.write(bytes));
  t.teardown(() => socket.destroy());
  await new Promise((resolve, reject) => socket.once('data', resolve).once('error', reject));
  socket.destroy();
}
