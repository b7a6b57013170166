import { once } from 'node:events';
import { connect } from 'node:net';
import { setImmediate as nextTurn } from 'node:timers/promises';
import t from 'tap';
import { startService } from '../support/service.ts';
import { assertProblem, exchange, exchangeOne, headersOfEveryAnswer, parseAnswers } from '../support/wire.ts';

const host = 'Host: localhost\r\nConnection: close\r\n';
const get = (target: string, fields = '') => `GET ${target} HTTP/1.1\r\n${host}${fields}\r\n`;
const post = (target: string, fields: string, body = '') =>
  `POST ${target} HTTP/1.1\r\n${host}${fields}Content-Length: ${Buffer.byteLength(body)}\r\n\r\n${body}`;
const json = 'Content-Type: application/json\r\n';

t.test('refusals of the router, the parser and the framework, over real connections', async (t) => {
  const service = await startService(t);
  const base = await service.listen();

  await t.test('what is well-formed is answered, with the headers of every answer', async (t) => {
    const welcome = await exchangeOne(base, get('/'));
    t.equal(welcome.status, 200);
    t.match(welcome.headers, { 'content-type': /^application\/json/, ...headersOfEveryAnswer });
    t.equal((await exchangeOne(base, get('/health/live'))).status, 200);
    const login = await exchangeOne(base, post('/auth/login', json, '{"username":"ada","password":"any"}'));
    assertProblem(t, login, { status: 401, code: 'invalid_credentials' });
  });

  const malformed: Record<string, string | Buffer> = {
    'a bad escape in the path': get('/%zz'),
    'an escape that is not UTF-8': get('/problems/%ff'),
    'D05: an escaped NUL in the path of nothing': get('/a%00b'),
    'D05: an escaped NUL in a parameter': get('/auth/confirm/a%00b'),
    'D05: an escaped NUL in the query': get('/health/live?a=%00'),
    'D05: a NUL in the path': get('/a\0b'),
    'a byte beyond ASCII in the path': Buffer.from(get('/caf\xe9'), 'latin1'),
    'a path without a slash': get('auth/me'),
    'an asterisk for a path': get('*'),
    'a path behind an asterisk': get('*/auth/me'),
    'an asterisk for the host of an address': get('*://localhost/auth/me'),
    'an asterisk with a query, for a method that may have one': `OPTIONS *?a HTTP/1.1\r\n${host}\r\n`,
    'no host': 'GET / HTTP/1.1\r\nConnection: close\r\n\r\n',
    'two hosts': get('/', 'Host: evil.test\r\n'),
    'no HTTP at all': 'garbage\r\n\r\n',
    'a TLS greeting': Buffer.from([0x16, 3, 1, 0, 5, 1, 0, 0, 1, 0]),
    'another version': 'GET / HTTP/3.7\r\n\r\n',
    'the preface of HTTP/2': 'PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n',
    'a method that nobody knows': 'FOO / HTTP/1.1\r\n\r\n',
    'bare line feeds': 'GET / HTTP/1.1\nHost: localhost\n\n',
    'a space before a colon': get('/', 'X : y\r\n'),
    'a NUL in a header': get('/', 'X: a\0b\r\n'),
    'two lengths of one body': `POST /auth/login HTTP/1.1\r\n${host}Content-Length: 2\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n`,
    'a length that is no number': `POST /auth/login HTTP/1.1\r\n${host}Content-Length: x\r\n\r\n`,
    'a chunk without a length': `POST /auth/login HTTP/1.1\r\n${host}${json}Transfer-Encoding: chunked\r\n\r\nzz\r\n{}\r\n0\r\n\r\n`,
  };
  for (const [what, bytes] of Object.entries(malformed)) {
    await t.test(`malformed: ${what}`, async (t) =>
      assertProblem(t, await exchangeOne(base, bytes), { status: 400, code: 'malformed_request' }),
    );
  }

  await t.test('a request of HTTP/1.0 needs no host', async (t) => {
    t.equal((await exchangeOne(base, 'GET /health/live HTTP/1.0\r\n\r\n')).status, 200);
  });

  await t.test('what is not there is not found, with any method and in any spelling', async (t) => {
    const nowhere = [
      '/nowhere',
      '/auth',
      '/auth/login/',
      '/AUTH/LOGIN',
      '//auth/me',
      '/auth//me',
      '/auth/me/.',
      '/.git/config',
      '/.env',
      '/secret%2f',
    ];
    for (const target of nowhere) assertProblem(t, await exchangeOne(base, get(target)), { status: 404, code: 'not_found' });
    assertProblem(t, await exchangeOne(base, post('/nowhere', json, '{}')), { status: 404, code: 'not_found' });
  });

  await t.test('a path that exists names the methods that it answers to', async (t) => {
    const allow = async (request: string) => {
      const answer = await exchangeOne(base, request);
      assertProblem(t, answer, { status: 405, code: 'method_not_allowed' });
      return answer.headers['allow'];
    };
    t.equal(await allow(post('/auth/me', json, '{}')), 'GET, PATCH');
    t.equal(await allow(get('/auth/confirm/resend')), 'POST', 'which is no token');
    t.equal(await allow(get('/auth/confirm/token/resend')), 'POST');
    t.equal(await allow(`DELETE /auth/confirm/token HTTP/1.1\r\n${host}\r\n`), 'GET, POST');
    t.equal(await allow(post('/health/live', json, '{}')), 'GET, HEAD');
    for (const method of ['PUT', 'PATCH', 'DELETE', 'OPTIONS', 'TRACE']) {
      t.equal(await allow(`${method} /secret HTTP/1.1\r\n${host}\r\n`), 'GET', method);
    }
    t.equal(await allow(`OPTIONS * HTTP/1.1\r\n${host}\r\n`), 'GET', 'of the service as a whole');
    const head = await exchangeOne(base, `HEAD /auth/me HTTP/1.1\r\n${host}\r\n`);
    t.match(head, { status: 405, body: '', headers: { allow: 'GET', ...headersOfEveryAnswer } });
  });

  await t.test('a path that exists names them to a method that the framework has no routes for, too', async (t) => {
    const ask = (method: string, target: string) => exchangeOne(base, `${method} ${target} HTTP/1.1\r\n${host}\r\n`);
    const existing: Record<string, string> = {
      '/': 'GET',
      '/secret?a=/b': 'GET',
      '/s%65cret': 'GET',
      'http://localhost/auth/me': 'GET, PATCH',
      'http://localhost?a': 'GET',
      '/auth/confirm/resend': 'POST',
      '/auth/confirm/token': 'GET, POST',
      '/auth/confirm/to%2fken': 'GET, POST',
      '/auth/confirm/token/resend': 'POST',
      '/docs/static/index.css': 'GET, HEAD',
      '/.well-known/jwks.json': 'GET, HEAD',
    };
    for (const method of ['PROPFIND', 'COPY', 'LOCK', 'M-SEARCH']) {
      for (const [target, allow] of Object.entries(existing)) {
        const answer = await ask(method, target);
        assertProblem(t, answer, { status: 405, code: 'method_not_allowed' });
        t.equal(answer.headers['allow'], allow, `${method} ${target}`);
      }
    }
    for (const target of ['/nowhere', '/auth', '/auth/me/', '/AUTH/ME', '/auth%2fme', '/xwell-known/jwks.json', '/auth/confirm/a/b']) {
      assertProblem(t, await ask('PROPFIND', target), { status: 404, code: 'not_found' });
    }
    for (const target of ['/%zz', '/auth/confirm/%ff', '/auth/confirm/a%00b', '*']) {
      assertProblem(t, await ask('PROPFIND', target), { status: 400, code: 'malformed_request' });
    }
  });

  await t.test('L09: a login is neither asked for in a query, nor sent as a form or as text', async (t) => {
    const inQuery = await exchangeOne(base, get('/auth/login?username=ada&password=any'));
    assertProblem(t, inQuery, { status: 405, code: 'method_not_allowed' });
    t.equal(inQuery.headers['allow'], 'POST');
    const types = [
      'text/plain',
      'application/x-www-form-urlencoded',
      'multipart/form-data; boundary=x',
      'text/json',
      'application/json5',
      'application/jsonx',
      'application/problem+json',
      'application/json x',
      'application',
      '*/*',
    ];
    const body = '{"username":"ada","password":"any"}';
    for (const type of types) {
      const answer = await exchangeOne(base, post('/auth/login', `Content-Type: ${type}\r\n`, body));
      assertProblem(t, answer, { status: 415, code: 'unsupported_media_type' });
    }
    assertProblem(t, await exchangeOne(base, post('/auth/login', '', body)), { status: 415, code: 'unsupported_media_type' });
    for (const fields of [
      'Content-Type: application/json; charset=utf-16\r\n',
      'Content-Type: application/json\r\nContent-Encoding: gzip\r\n',
      'Content-Type: application/json\r\nContent-Type: text/plain\r\n',
      'Content-Type: application/json\r\ncontent-type: application/json\r\n',
    ]) {
      assertProblem(t, await exchangeOne(base, post('/auth/login', fields, body)), { status: 415, code: 'unsupported_media_type' });
    }
    for (const type of ['application/json', 'Application/JSON', 'application/json; charset=utf-8', 'application/json; charset="UTF-8"']) {
      t.equal((await exchangeOne(base, post('/auth/login', `Content-Type: ${type}\r\n`, body))).status, 401, type);
    }
  });

  await t.test('a body of 16 KiB is read, one byte more is not', async (t) => {
    const bodyOf = (bytes: number) => `{"username":"${'a'.repeat(bytes - 33)}","password":"any"}`.padEnd(bytes);
    t.equal(Buffer.byteLength(bodyOf(16_384)), 16_384);
    t.equal((await exchangeOne(base, post('/auth/login', json, bodyOf(16_384)))).status, 401);
    const tooLarge = { status: 413, code: 'payload_too_large' };
    assertProblem(t, await exchangeOne(base, post('/auth/login', json, bodyOf(16_385))), tooLarge);
    const chunked = (body: string) =>
      `POST /auth/login HTTP/1.1\r\n${host}${json}Transfer-Encoding: chunked\r\n\r\n${body.length.toString(16)}\r\n${body}\r\n0\r\n\r\n`;
    assertProblem(t, await exchangeOne(base, chunked(bodyOf(16_385))), tooLarge);
    t.equal((await exchangeOne(base, chunked(bodyOf(16_384)))).status, 401);
  });

  await t.test('an address that is too long is refused at every length, one that just fits is not', async (t) => {
    t.equal((await exchangeOne(base, get(`/health/live?${'a'.repeat(4000)}`))).status, 200);
    const targets = [
      `/${'a'.repeat(4100)}`,
      `/auth/confirm/${'a'.repeat(4100)}`,
      `/health/live?${'a'.repeat(4100)}`,
      `/${'a'.repeat(20_000)}`,
      `/${'a'.repeat(60_000)}`,
    ];
    for (const target of targets) {
      const answer = await exchangeOne(base, get(target));
      assertProblem(t, answer, { status: 414, code: 'uri_too_long' });
      t.notMatch(answer.body, /aaaa/);
    }
  });

  await t.test('headers that are too large are refused', async (t) => {
    assertProblem(t, await exchangeOne(base, get('/', `X: ${'a'.repeat(20_000)}\r\n`)), { status: 431, code: 'headers_too_large' });
    assertProblem(t, await exchangeOne(base, get('/', `X-Field: ${'a'.repeat(20)}\r\n`.repeat(1000))), {
      status: 431,
      code: 'headers_too_large',
    });
    t.equal((await exchangeOne(base, get('/health/live', `X: ${'a'.repeat(8000)}\r\n`))).status, 200);
  });

  await t.test('an expectation that nobody knows is passed over', async (t) => {
    const answer = await exchangeOne(base, post('/auth/login', `${json}Expect: the-unexpected\r\n`, '{"username":"ada","password":"any"}'));
    assertProblem(t, answer, { status: 401, code: 'invalid_credentials' });
  });

  await t.test('files of the documentation are refused in problems, too', async (t) => {
    const file = '/docs/static/index.css';
    t.equal((await exchangeOne(base, get(file))).status, 200);
    const refusals = [
      { status: 404, request: get('/docs/static/none.css') },
      { status: 404, request: get('/docs/static/%2e%2e/%2e%2e/package.json') },
      { status: 400, request: get(file, 'Range: bytes=99999999-\r\n') },
      { status: 400, request: get(file, 'If-Match: "another"\r\n') },
    ];
    for (const { status, request } of refusals) {
      const answer = await exchangeOne(base, request);
      t.equal(answer.status, status);
      t.match(answer.headers, { 'content-type': /^application\/problem\+json/, 'x-content-type-options': 'nosniff' });
    }
  });

  await t.test('G06: no header and no query member turns a request into another one', async (t) => {
    const fields = [
      'X-HTTP-Method-Override: DELETE',
      'X-HTTP-Method: POST',
      'X-Method-Override: POST',
      'X-Original-URL: /health/live',
      'X-Rewrite-URL: /health/live',
      'X-Forwarded-Prefix: /health',
      'X-Forwarded-URI: /health/live',
      'X-Original-Method: POST',
      'Forwarded: host=evil.test;proto=https',
    ];
    for (const field of fields) {
      assertProblem(t, await exchangeOne(base, get('/secret', `${field}\r\n`)), { status: 401, code: 'unauthenticated' });
      t.equal((await exchangeOne(base, get('/health/live', `${field}\r\n`))).status, 200);
    }
    assertProblem(t, await exchangeOne(base, get('/auth/login?_method=POST')), { status: 405, code: 'method_not_allowed' });
    assertProblem(t, await exchangeOne(base, get('http://evil.test/auth/me')), { status: 401, code: 'unauthenticated' });
  });

  await t.test('G06: a proxy is made of this service by nobody', async (t) => {
    t.same(await exchange(base, 'CONNECT evil.test:443 HTTP/1.1\r\nHost: evil.test:443\r\n\r\n'), []);
  });

  await t.test('what comes in over an open connection while the service closes is still answered', async (t) => {
    const { hostname, port } = new URL(base);
    const socket = connect(Number(port), hostname);
    let text = '';
    socket.on('data', (chunk) => {
      text += chunk;
    });
    const request = once(service.app.server, 'request');
    socket.write(`POST /auth/login HTTP/1.1\r\nHost: localhost\r\n${json}Content-Length: 35\r\n\r\n`);
    await request;
    const closed = service.app.close();
    while (service.app.server.listening) await nextTurn();
    socket.write(`{"username":"ada","password":"any"}${get('/health/live')}`);
    await Promise.all([closed, once(socket, 'close')]);
    const [login, ...others] = parseAnswers(text);
    t.equal(login?.status, 401);
    t.equal(others.length, 1);
    for (const { status, headers } of others) t.match({ status, headers }, { status: 200, headers: headersOfEveryAnswer });
  });
});
