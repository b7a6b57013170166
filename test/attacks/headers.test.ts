import t, { type Test } from 'tap';
import { setCookies } from '../support/cookies.ts';
import { createHttpClient } from '../support/http.ts';
import { confirmationPath, confirmedPerson, logIn, register } from '../support/person.ts';
import { startService } from '../support/service.ts';
import { spoilQueries } from '../support/spoiled-queries.ts';
import { exchange, exchangeOne, type RawAnswer, requestBytes } from '../support/wire.ts';

const publicUrl = 'https://accounts.test';
/** What may be kept by a cache: it is the same for everybody. */
const cacheable = /^(?:\/\.well-known\/jwks\.json|\/openapi\.json|\/docs\b.*|\/problems\/\w+|\/pages\.css)$/;

/** Asserts what every answer has, whoever wrote it: the route, the router, Node's parser, or a library that serves files. */
function assertHeaders(t: Test, { status, headers }: RawAnswer, what: string, mayBeKept = false): void {
  const common = {
    'x-content-type-options': 'nosniff',
    'referrer-policy': 'no-referrer',
    'cross-origin-resource-policy': 'same-origin',
    'x-frame-options': 'DENY',
    'strict-transport-security': /^max-age=\d{8,}; includeSubDomains$/,
  };
  t.match(headers, common, `${what} (${status})`);
  t.match(headers['content-security-policy'], /^default-src 'none';/, what);
  t.match(headers['content-security-policy'], /frame-ancestors 'none'/, what);
  if (mayBeKept && status < 400) t.match(headers['cache-control'], /^(?:no-store|public, max-age=\d+)/, what);
  else t.equal(headers['cache-control'], 'no-store', what);
  const telling = Object.keys(headers).filter((name) => /^server$|powered-by|^via$|version|runtime|^x-debug/.test(name));
  t.strictSame(telling, [], 'it does not say what it is made of');
}

/** Asserts a type that browsers take literally, and for a problem the members of one. */
function assertType(t: Test, { status, headers, body }: RawAnswer, what: string): void {
  const type = headers['content-type'] ?? '';
  if ([204, 303, 304].includes(status)) return void t.equal(body, '', `${what} has no body`);
  if (type.startsWith('application/json')) {
    t.equal(type, 'application/json; charset=utf-8', what);
    t.ok(status < 400, `${what}: what is no success is a problem`);
  } else if (status >= 400 && !type.startsWith('text/html')) {
    t.equal(type, 'application/problem+json; charset=utf-8', what);
    if (body === '') return;
    const problem = JSON.parse(body);
    t.match(problem, { type: `/problems/${problem.code}`, title: String, status, code: /^[a-z_]+$/, detail: String }, what);
    const known = ['type', 'title', 'status', 'code', 'detail', 'errors', 'resend', 'down'];
    t.strictSame(
      Object.keys(problem).filter((name) => !known.includes(name)),
      [],
      what,
    );
  } else t.match(type, /^(?:text\/(?:html|css|javascript|event-stream); charset=utf-8|application\/x-yaml|image\/png|text\/yaml)/, what);
  t.notMatch(body, /\n\s+at \S+ \(|node_modules|select \S+ from|drizzle/i, `${what}: no stack, no statement`);
}

t.test('the headers of every answer, over real connections', async (t) => {
  const service = await startService(t, { PUBLIC_URL: publicUrl, CORS_ORIGINS: 'https://good.test', RATE_LIMIT: 'off' });
  const base = await service.listen();
  const client = createHttpClient(base);
  const { token } = await confirmedPerson({ ...service, ...client });
  const newcomer = await register(client);
  const unconfirmed = await logIn(client, newcomer);
  const link = await confirmationPath(service, newcomer);
  const as = (who: string) => ({ 'user-agent': 'node', authorization: `Bearer ${who}` });
  const html = { accept: 'text/html' };
  const get = (target: string, fields = {}) => requestBytes('GET', target, fields);
  const asset = '/docs/static/index.css';

  const answered: Record<string, readonly [number, string]> = {
    'a success': [200, get('/secret', as(token))],
    'a success without a body': [204, get('/auth/verify', as(token))],
    'a registration': [
      201,
      requestBytes(
        'POST',
        '/auth/register',
        {},
        JSON.stringify({ email: 'n@example.com', username: 'newone', password: 'a password of their own' }),
      ),
    ],
    'something accepted': [202, requestBytes('POST', '/auth/password/forgot', {}, '{"email":"nobody@example.com"}')],
    'a redirect': [303, get('/auth/unconfirmed', as(token))],
    'a page': [401, get(link, html)],
    'a page with a refusal': [400, get('/auth/confirm/x', html)],
    'the keys': [200, get('/.well-known/jwks.json')],
    'the document': [200, get('/openapi.json')],
    'the documentation': [200, get('/docs')],
    'the document of the documentation': [200, get('/docs/json')],
    'the same as YAML': [200, get('/docs/yaml')],
    'a file': [200, get(asset)],
    'a part of a file': [206, get(asset, { range: 'bytes=0-9' })],
    'a picture': [200, get('/docs/static/favicon-32x32.png')],
    'a file that has not changed': [304, get(asset, { 'if-none-match': '*' })],
    'a file that is not there': [404, get('/docs/static/none.js')],
    'a part that is not there': [400, get(asset, { range: 'bytes=99999999-' })],
    'a condition that is not met': [400, get(asset, { 'if-match': '"x"' })],
    'the styles': [200, get('/pages.css')],
    'a kind of problem': [200, get('/problems/unconfirmed')],
    'no kind of problem': [404, get('/problems/nothing')],
    'a body that is no JSON': [400, requestBytes('POST', '/auth/login', {}, '{')],
    'no session': [401, get('/secret')],
    'no confirmed one': [403, get('/secret', as(unconfirmed))],
    'the wrong role': [403, get('/admin/users', as(token))],
    'another origin': [403, requestBytes('POST', '/auth/login', {}, '{"username":"x","password":"y","transport":"cookie"}')],
    'nothing there': [404, get('/nowhere')],
    'another method': [405, requestBytes('DELETE', '/secret')],
    'something taken': [409, requestBytes('POST', '/auth/register', {}, JSON.stringify({ ...newcomer, id: undefined }))],
    'too much': [413, requestBytes('POST', '/auth/login', {}, ' '.repeat(20_000))],
    'an address too long for us': [414, get(`/${'a'.repeat(5000)}`)],
    'a parameter too long for us': [414, get(`/problems/${'a'.repeat(4090)}`)],
    'another type': [415, requestBytes('POST', '/auth/login', { 'content-type': 'text/plain' }, '{}')],
    'a preflight': [204, requestBytes('OPTIONS', '/secret', { origin: 'https://good.test', 'access-control-request-method': 'GET' })],
    'a preflight from elsewhere': [
      405,
      requestBytes('OPTIONS', '/secret', { origin: 'https://evil.test', 'access-control-request-method': 'GET' }),
    ],
    'the head of a success': [200, requestBytes('HEAD', '/health/live')],
    'the head of nothing': [404, requestBytes('HEAD', '/nowhere')],
    'the head of a refusal': [405, requestBytes('HEAD', '/secret')],
    'the head of a file': [200, requestBytes('HEAD', asset)],
  };
  t.test('B08 B10 what routes, the router and libraries answer', async (t) => {
    for (const [what, [status, bytes]] of Object.entries(answered)) {
      const answer = await exchangeOne(base, bytes);
      t.equal(answer.status, status, what);
      assertHeaders(t, answer, what, cacheable.test(bytes.split(' ')[1] as string));
      if (bytes.startsWith('HEAD')) t.equal(answer.body, '', what);
      assertType(t, answer, what);
    }
  });

  t.test('B08 B10 a stream', async (t) => {
    const waiting = await fetch(new URL('/auth/confirm/events', base), { headers: as(unconfirmed) });
    const headers = Object.fromEntries(waiting.headers);
    await waiting.body?.cancel();
    assertHeaders(t, { status: waiting.status, headers, body: '' }, 'a stream');
    t.equal(headers['content-type'], 'text/event-stream; charset=utf-8');
  });

  t.test('B08 B10 a fault of ours, and one of the database', async (t) => {
    const { db } = service.app.services;
    for (const [fault, status] of [
      [new Error('select n1ghting4le from users'), 500],
      [Object.assign(new Error('n1ghting4le'), { code: 'ECONNREFUSED' }), 503],
    ] as const) {
      const mend = spoilQueries(db, () => {
        throw fault;
      });
      const answer = await exchangeOne(base, get('/auth/me', as(unconfirmed)));
      mend();
      t.equal(answer.status, status);
      assertHeaders(t, answer, String(status));
      assertType(t, answer, String(status));
      t.notMatch(JSON.stringify(answer), /n1ghting4le/);
    }
    t.equal((await exchangeOne(base, get('/auth/me', as(unconfirmed)))).status, 200);
  });

  const post = 'POST /auth/login HTTP/1.1\r\nHost: x\r\nConnection: close\r\nContent-Type: application/json\r\n';
  const chunk = '2\r\n{}\r\n0\r\n\r\n';
  const unreadable: Record<string, readonly [number, string]> = {
    'no HTTP': [400, 'garbage\r\n\r\n'],
    'a request line without a version': [400, 'GET /\r\n\r\n'],
    'an old version': [400, 'GET / HTTP/0.9\r\nHost: x\r\n\r\n'],
    'a new version': [400, 'GET / HTTP/2.0\r\nHost: x\r\n\r\n'],
    'no version at all': [400, 'GET / HTTX/1.1\r\nHost: x\r\n\r\n'],
    'an unknown method': [400, 'FETCH / HTTP/1.1\r\nHost: x\r\n\r\n'],
    'no host': [400, 'GET / HTTP/1.1\r\nConnection: close\r\n\r\n'],
    'two hosts': [400, 'GET / HTTP/1.1\r\nHost: x\r\nHost: y\r\nConnection: close\r\n\r\n'],
    'one host twice': [400, 'GET / HTTP/1.1\r\nHost: x\r\nhost: x\r\nConnection: close\r\n\r\n'],
    'a folded field': [400, 'GET / HTTP/1.1\r\nHost: x\r\nX: a\r\n b\r\n\r\n'],
    'bare line feeds': [400, 'GET / HTTP/1.1\nHost: x\n\n'],
    'a bare line feed in a field': [400, 'GET / HTTP/1.1\r\nHost: x\r\nX: a\nY: b\r\n\r\n'],
    'a bare carriage return': [400, 'GET / HTTP/1.1\r\nHost: x\r\nX: a\rY: b\r\n\r\n'],
    'a NUL in a field': [400, 'GET / HTTP/1.1\r\nHost: x\r\nX: a\0b\r\n\r\n'],
    'a space in a name': [400, 'GET / HTTP/1.1\r\nHost: x\r\nX Y: a\r\n\r\n'],
    'a space before a colon': [400, 'GET / HTTP/1.1\r\nHost : x\r\n\r\n'],
    'no name': [400, 'GET / HTTP/1.1\r\nHost: x\r\n: a\r\n\r\n'],
    'a length and chunks': [400, `${post}Content-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n${chunk}`],
    'chunks and a length': [400, `${post}Transfer-Encoding: chunked\r\nContent-Length: 5\r\n\r\n${chunk}`],
    'two lengths': [400, `${post}Content-Length: 2\r\nContent-Length: 3\r\n\r\n{}x`],
    'one length twice': [400, `${post}Content-Length: 2\r\nContent-Length: 2\r\n\r\n{}`],
    'a list of lengths': [400, `${post}Content-Length: 2, 2\r\n\r\n{}`],
    'a length with a sign': [400, `${post}Content-Length: +2\r\n\r\n{}`],
    'a length in hexadecimal': [400, `${post}Content-Length: 0x2\r\n\r\n{}`],
    'a negative length': [400, `${post}Content-Length: -1\r\n\r\n{}`],
    'two codings': [400, `${post}Transfer-Encoding: chunked\r\nTransfer-Encoding: identity\r\n\r\n${chunk}`],
    'chunks that are not the last coding': [400, `${post}Transfer-Encoding: chunked, identity\r\n\r\n${chunk}`],
    'a coding that is nearly chunks': [400, `${post}Transfer-Encoding: xchunked\r\n\r\n${chunk}`],
    'a coding that nobody undoes': [400, `${post}Transfer-Encoding: gzip, chunked\r\n\r\n${chunk}`],
    'a coding after a control character': [400, `${post}Transfer-Encoding: \x0bchunked\r\n\r\n${chunk}`],
    'chunks in HTTP/1.0': [400, `POST /auth/login HTTP/1.0\r\nTransfer-Encoding: chunked\r\n\r\n${chunk}`],
    'a chunk without a length': [400, `${post}Transfer-Encoding: chunked\r\n\r\n;a\r\n{}\r\n0\r\n\r\n`],
    'a chunk with a wrong length': [400, `${post}Transfer-Encoding: chunked\r\n\r\n1\r\n{}\r\n0\r\n\r\n`],
    'a chunk that ends with a bare line feed': [400, `${post}Transfer-Encoding: chunked\r\n\r\n2\n{}\r\n0\r\n\r\n`],
    'an address that is too long for the parser': [414, `GET /${'a'.repeat(60_000)} HTTP/1.1\r\nHost: x\r\n\r\n`],
    'fields that are too large': [431, `GET / HTTP/1.1\r\nHost: x\r\nX: ${'a'.repeat(20_000)}\r\n\r\n`],
    'fields that are too many': [431, `GET / HTTP/1.1\r\nHost: x\r\nConnection: close\r\n${'a:\r\n'.repeat(3000)}\r\n`],
    'the head with fields that are too large': [431, `HEAD / HTTP/1.1\r\nHost: x\r\nX: ${'a'.repeat(20_000)}\r\n\r\n`],
  };
  t.test('B08 B10 what can be read in two ways is refused once, and the connection with it', async (t) => {
    for (const [what, [status, bytes]] of Object.entries(unreadable)) {
      // More than one answer would be one for what a proxy takes for the next request.
      const answers = await exchange(base, bytes);
      t.strictSame(
        answers.map((answer) => answer.status),
        [status],
        what,
      );
      for (const answer of answers) {
        assertHeaders(t, answer, what);
        assertType(t, answer, what);
        t.equal(answer.headers['connection'], 'close', what);
      }
    }
    const hidden = get('/health/live');
    for (const [version, fields] of [
      ['1.1', 'Transfer-Encoding:'],
      ['1.1', 'Transfer-Encoding: gzip, chunked'],
      ['1.0', 'Transfer-Encoding: chunked'],
      ['1.1', 'Host: y'],
    ]) {
      const bytes = `POST /auth/login HTTP/${version}\r\nHost: x\r\nConnection: keep-alive\r\n${fields}\r\n\r\n${hidden}`;
      const answers = await exchange(base, bytes);
      t.strictSame(
        answers.map(({ status, headers }) => [status, headers['connection']]),
        [[400, 'close']],
        `nothing after it is answered: ${fields}`,
      );
    }
    t.equal((await exchangeOne(base, `${post}Transfer-Encoding: chunked\r\n\r\n${chunk}`)).status, 400, 'validation_failed');
    const login = JSON.stringify({ email: newcomer.email, password: newcomer.password });
    const chunks = `${login.length.toString(16)}\r\n${login}\r\n0\r\n\r\n`;
    t.equal((await exchangeOne(base, `${post}Transfer-Encoding: Chunked\r\n\r\n${chunks}`)).status, 200, 'well-formed chunks are read');
    t.equal((await exchangeOne(base, 'GET /health/live HTTP/1.0\r\n\r\n')).status, 200, 'and so is HTTP/1.0');
  });

  t.test('B08 nothing that comes after a request is answered as a part of its answer', async (t) => {
    const keepAlive = { connection: 'keep-alive', ...as(unconfirmed) };
    const stream = await exchange(base, `${requestBytes('GET', '/auth/confirm/events', keepAlive)}garbage\r\n\r\n`);
    t.ok(stream.every(({ body }) => !body.includes('HTTP/1.1')) && stream.length <= 1);
    const unread = `${post.replace('/auth/login', '/nowhere').replace('close', 'keep-alive')}Transfer-Encoding: chunked\r\n\r\nzz\r\n`;
    const answers = await exchange(base, unread);
    t.equal(answers.length, 1, 'one answer to one request, of which the rest could not be read');
    for (const answer of answers) assertHeaders(t, answer, 'a refusal');
    const hidden = get('/nowhere', { 'x-hidden': '1' });
    const smuggled = requestBytes('GET', '/health/live', { connection: 'keep-alive', 'content-length': String(hidden.length) }) + hidden;
    t.strictSame(
      (await exchange(base, smuggled + get('/health/ready'))).map(({ status }) => status),
      [200, 200],
      'a body is no request',
    );
  });

  t.test('B06 the cookies of a login', async (t) => {
    const headers = { 'sec-fetch-site': 'same-origin' };
    const { email, password } = newcomer;
    for (const rememberMe of [false, true]) {
      const login = await client.post('/auth/login', { email, password, rememberMe, transport: 'cookie' }, { headers });
      const cookie = setCookies(login)
        .map(({ name, value }) => `${name}=${value}`)
        .join('; ');
      const refresh = await client.post('/auth/refresh', undefined, { headers: { ...headers, cookie } });
      for (const answer of [login, refresh]) {
        const cookies = setCookies(answer);
        t.strictSame(
          cookies.map(({ name }) => name),
          ['__Host-access', '__Host-refresh'],
        );
        for (const { attributes, bytes } of cookies) {
          t.match(attributes, { Secure: '', HttpOnly: '', SameSite: 'Lax', Path: '/' });
          t.notOk('Domain' in attributes);
          t.equal('Max-Age' in attributes || 'Expires' in attributes, rememberMe, 'it outlives the browser only where that is wanted');
          t.ok(bytes < 4096, `${bytes} bytes`);
        }
        t.notMatch(answer.text, /accessToken|refreshToken/, 'no script gets to see them');
        t.equal(answer.headers['cache-control'], 'no-store');
      }
    }
  });

  t.test('B06 the cookies of the longest names there may be are kept by browsers, too', async (t) => {
    const details = {
      email: `${'a'.repeat(64)}@${'b'.repeat(60)}.${'c'.repeat(60)}.${'d'.repeat(57)}.test`,
      username: 'z'.repeat(64),
      password: 'a password of their own',
    };
    await register(client, details);
    const { email, password } = details;
    const login = await client.post('/auth/login', { email, password, transport: 'cookie' }, { headers: { 'sec-fetch-site': 'none' } });
    t.equal(setCookies(login).length, 2);
    for (const { name, bytes } of setCookies(login)) t.ok(bytes < 4096, `${name}: ${bytes} bytes`);
  });
});
