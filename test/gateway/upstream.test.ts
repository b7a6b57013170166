import { decodeJwt } from 'jose';
import t from 'tap';
import { confirmationPath, confirmedPerson, logIn, type Person, register } from '../support/person.ts';
import { refused } from '../support/refusal.ts';
import { startGateway } from '../support/upstream.ts';
import { exchangeOne, requestBytes } from '../support/wire.ts';

const browser = { accept: 'text/html,application/xhtml+xml,application/xml;q=0.9,*/*;q=0.8' };

/** What the application is told of a user. */
function identityOf({ id, username, email }: Person) {
  return { 'x-auth-user-id': id, 'x-auth-username': username, 'x-auth-email': email, 'x-auth-role': 'user' };
}

t.test('an application behind the service', async (t) => {
  const { service, base, upstream } = await startGateway(t, { UPSTREAM_PUBLIC_PATHS: '/static, /hooks/' });
  const person = await confirmedPerson(service);
  const { token } = person;

  t.test('gets the requests of confirmed users, and is told whose they are', async (t) => {
    const { status, body, headers } = await service.get('/page/1?a=1&b=%2F?c', { token });
    t.equal(status, 200);
    t.match(body, { method: 'GET', url: '/page/1?a=1&b=%2F?c', headers: identityOf(person) });
    t.equal(body.headers.authorization, undefined, 'but not their token');
    t.equal(body.headers.via, '1.1 latchkey');
    t.equal(headers['cache-control'], 'private', 'no shared cache keeps the answer');
    t.equal(headers['content-security-policy'], undefined, 'and what its pages may do is for the application to say');
  });

  t.test('gets every method and body as it was sent', async (t) => {
    for (const method of ['POST', 'PUT', 'PATCH', 'DELETE'] as const) {
      const { body } = await service.request(method, '/things', { token, body: ' {"a" : 1}' });
      t.match(body, { method, bodyBytes: 10, headers: { 'content-type': 'application/json', ...identityOf(person) } });
    }
    const form = await service.request('POST', '/things', {
      token,
      body: 'a=1',
      headers: { 'content-type': 'text/x-odd; charset=latin1' },
    });
    t.match(form.body, { bodyBytes: 3, headers: { 'content-type': 'text/x-odd; charset=latin1' } });
    t.match((await service.request('DELETE', '/things/1', { token })).body, { method: 'DELETE', bodyBytes: 0 });
    t.match((await service.request('OPTIONS', '/things', { token })).body, { method: 'OPTIONS' });
    t.match(await service.request('HEAD', '/things', { token }), { status: 200, text: '' });
  });

  t.test('is closed to all others', async (t) => {
    const before = upstream.passed.length;
    refused(t, await service.get('/page'), 401, 'unauthenticated');
    refused(t, await service.get('/'), 401, 'unauthenticated');
    refused(t, await service.get('/page', { token: 'x' }), 401, 'unauthenticated');
    refused(t, await service.get('/page', { headers: browser }), 401, 'unauthenticated');
    const newcomer = await register(service);
    const early = await logIn(service, newcomer);
    refused(t, await service.get('/page', { token: early }), 403, 'unconfirmed');
    refused(t, await service.post('/page', { a: 1 }, { token: early }), 403, 'unconfirmed');
    t.equal(upstream.passed.length, before, 'it hears of none of them');
    await service.get(await confirmationPath(service, newcomer), { token: early });
    t.match(await service.get('/page', { token: early }), { status: 200, body: { headers: identityOf(newcomer) } }, 'until they confirm');
  });

  t.test('by cookie: with its own cookies, and none of ours', async (t) => {
    const cookie = `theme=dark; access=${token}; refresh=secret; lang=de`;
    t.match(await service.get('/page', { headers: { cookie } }), { status: 200, body: { headers: { cookie: 'theme=dark; lang=de' } } });
    t.equal((await service.get('/page', { headers: { cookie: `access=${token}` } })).body.headers.cookie, undefined);
    const elsewhere = { cookie, origin: 'https://evil.test', 'sec-fetch-site': 'cross-site' };
    refused(t, await service.post('/page', {}, { headers: elsewhere }), 403, 'cross_origin_rejected');
    t.match(await service.post('/page', {}, { headers: { cookie, 'sec-fetch-site': 'same-origin' } }), { status: 200 });
  });

  t.test('has paths that are open to everybody, each with all that is below it', async (t) => {
    for (const path of ['/static', '/static/', '/static/a/b.css?v=1', '/hooks', '/hooks/in']) {
      const { status, body, headers } = await service.get(path);
      t.equal(status, 200, path);
      t.equal(body.url, path);
      t.notOk(Object.keys(body.headers).some((name) => name.startsWith('x-auth')));
      t.equal(headers['cache-control'], undefined, 'caches may do with it what they like');
    }
    for (const path of ['/statics', '/static-private', '/Static', '/a/static', '/hook']) {
      refused(t, await service.get(path), 401, 'unauthenticated');
    }
    t.match((await service.post('/hooks/in', { a: 1 })).body, { method: 'POST', bodyBytes: 7 });
  });

  t.test('knows on those paths, too, who is logged in, and lets everybody else in as a stranger', async (t) => {
    t.match((await service.get('/static/a', { token })).body.headers, { ...identityOf(person), authorization: undefined });
    const unconfirmed = await logIn(service, await register(service));
    const strangers = [
      { authorization: `Bearer ${unconfirmed}` },
      { cookie: `access=${token}; access=${unconfirmed}` },
      { cookie: 'access=nonsense' },
      { cookie: `access=${unconfirmed}`, authorization: `Bearer ${token}` },
    ];
    for (const headers of strangers) {
      const { status, body } = await service.get('/static/a', { headers });
      t.equal(status, 200);
      t.equal(body.headers['x-auth-user-id'], undefined);
      t.equal(body.headers.authorization, undefined);
      t.equal(body.headers.cookie, undefined);
    }
    for (const authorization of [
      `Bearer  ${token}`,
      `Bearer\t${token}`,
      `Bearer "${token}"`,
      `Bearer ${token}, x`,
      `Token token=${token}`,
    ]) {
      const { status, body } = await service.get('/static/a', { headers: { authorization } });
      t.equal(status, 200);
      t.equal(body.headers.authorization, undefined, authorization.replace(token, '…'));
    }
    const crossSite = { cookie: `access=${token}`, 'sec-fetch-site': 'cross-site' };
    t.equal((await service.post('/hooks/in', {}, { headers: crossSite })).body.headers['x-auth-user-id'], undefined);
    for (const authorization of ['Basic eDp5', 'Bearer the-hook-s-own']) {
      t.match((await service.post('/hooks/in', {}, { headers: { authorization } })).body.headers, { authorization }, 'its own logins work');
    }
  });

  t.test('is not asked about what is the service’s own', async (t) => {
    const before = upstream.passed.length;
    t.match(await service.get('/auth/me', { token }), { status: 200, body: { user: { username: person.username } } });
    for (const path of [
      ...['/health/live', '/health/ready', '/docs', '/docs/', '/docs/static/swagger-ui.css', '/docs/json', '/docs/yaml'],
      ...['/openapi.json', '/pages.css', '/problems/unconfirmed', '/.well-known/jwks.json'],
    ])
      t.equal((await service.get(path, { token })).status, 200, path);
    refused(t, await service.get('/admin/users', { token }), 403, 'forbidden');
    for (const path of ['/auth', '/auth/', '/auth/nothing', '/auth/me/nothing', '/admin/users/nothing/at/all']) {
      refused(t, await service.get(path, { token }), 404, 'not_found');
      refused(t, await service.post(path, { a: 1 }), 404, 'not_found');
    }
    refused(t, await service.request('PUT', '/auth/login', { token }), 405, 'method_not_allowed');
    const statuses = { '/auth/login': 405, '/auth/confirm/x': 405, '/auth/nothing': 404, '/': 404, '/page': 404, '/static/x': 404 };
    for (const [path, status] of Object.entries(statuses)) {
      t.equal((await exchangeOne(base, requestBytes('PROPFIND', path))).status, status, `a method that is not passed on, for ${path}`);
    }
    t.equal(upstream.passed.length, before);
    t.match(await service.get('/secret', { token }), { status: 200, body: { url: '/secret' } }, 'the samples are gone');
    t.notOk(Object.keys((await service.get('/openapi.json')).body.paths).some((path) => path === '/' || path.includes('*')));
  });

  t.test('is told where a request came from by us, and by nobody else', async (t) => {
    const { body } = await service.get('/page', { token });
    const { host } = new URL('http://localhost:3000');
    t.match(body.headers, {
      'x-forwarded-for': '127.0.0.1',
      'x-forwarded-proto': 'http',
      'x-forwarded-host': host,
      host: new URL(upstream.base).host,
    });
    t.match(body.headers['x-request-id'], /^[\da-f-]{36}$/);
  });

  t.test('the log names the route, and no address', async (t) => {
    await service.get('/page/canary?q=canary', { token });
    t.notMatch(service.log.join(''), /canary/);
    t.ok(service.log.some((line) => JSON.parse(line).route === '/*'));
  });

  t.test('what asks for another protocol than WebSocket is answered as if it did not', async (t) => {
    const fields = {
      authorization: `Bearer ${token}`,
      connection: 'Upgrade, HTTP2-Settings',
      upgrade: 'h2c',
      'http2-settings': 'AAMAAABk',
    };
    const answer = await exchangeOne(base, requestBytes('GET', '/page', fields));
    t.equal(answer.status, 200);
    const told = JSON.parse(answer.body).headers;
    t.match(told, { upgrade: undefined, 'http2-settings': undefined, ...identityOf(person) });
    t.equal((await exchangeOne(base, requestBytes('GET', '/auth/me', fields))).status, 200);
    t.equal((await exchangeOne(base, requestBytes('GET', '/page', { ...fields, authorization: 'Bearer x' }))).status, 401);
  });

  t.test('and so is what only names another protocol, body included', async (t) => {
    for (const upgrade of ['h2c', 'websocket']) {
      const fields = { authorization: `Bearer ${token}`, upgrade };
      const answer = await exchangeOne(base, requestBytes('POST', '/page', fields, '{"a":1}'));
      t.equal(answer.status, 200);
      t.match(JSON.parse(answer.body), { method: 'POST', bodyBytes: 7, headers: { upgrade: undefined } });
      for (const connection of ['upgrade', 'close, UPGRADE']) {
        const asked = await exchangeOne(base, requestBytes('POST', '/page', { ...fields, connection }, '{"a":1}'));
        t.ok(asked.status >= 400, `${upgrade}: ${connection}`);
      }
    }
  });
});

t.test('with UPSTREAM_JWT the application gets the access token, however it was sent, and no other', async (t) => {
  const { service } = await startGateway(t, { UPSTREAM_JWT: 'on', UPSTREAM_PUBLIC_PATHS: '/static' });
  const person = await confirmedPerson(service);
  for (const headers of [{ authorization: `Bearer ${person.token}` }, { cookie: `access=${person.token}` }]) {
    for (const path of ['/page', '/static/page']) {
      const { authorization, ...others } = (await service.get(path, { headers })).body.headers;
      t.equal(decodeJwt(authorization.replace(/^Bearer /, '')).sub, person.id);
      t.match(others, identityOf(person));
    }
  }
  for (const authorization of [`Bearer ${person.token.slice(0, -9)}`, 'Basic eDp5', 'x']) {
    t.equal(
      (await service.get('/static', { headers: { authorization } })).body.headers.authorization,
      undefined,
      'it may believe what stands there',
    );
  }
});

t.test('with LOGIN_URL a browser without a session is sent there, and told the way back', async (t) => {
  const { service, base, upstream } = await startGateway(t, {
    LOGIN_URL: 'https://app.test/login?from=gateway',
    UPSTREAM_PUBLIC_PATHS: '/static',
  });
  const sentTo = async (target: string, method = 'GET') => {
    const { status, headers } = await exchangeOne(base, requestBytes(method, target, browser));
    t.equal(status, 303, target);
    t.equal(headers['cache-control'], 'no-store');
    const url = new URL(headers['location'] ?? '');
    t.equal(url.origin + url.pathname, 'https://app.test/login');
    t.equal(url.searchParams.get('from'), 'gateway');
    return url.searchParams.get('next');
  };
  t.equal(await sentTo('/page?a=1&next=https://evil.test'), '/page?a=1&next=https://evil.test');
  t.equal(await sentTo('/'), '/');
  t.equal(await sentTo('/page', 'POST'), null, 'what was posted cannot be asked for again');
  t.equal(await sentTo('/a//b'), '/a//b');
  for (const hostile of ['//evil.test', '/%2f%2fevil.test', '/%5cevil.test', '/.//evil.test'])
    t.equal(await sentTo(hostile), null, hostile);
  refused(t, await service.get('/page'), 401, 'unauthenticated');
  const newcomer = await logIn(service, await register(service));
  refused(t, await service.get('/page', { token: newcomer, headers: browser }), 403, 'unconfirmed');
  t.equal(upstream.passed.length, 0);
  t.equal((await service.get('/static', { headers: browser })).status, 200);
});

t.test('applications on other origins get preflights and answers for it, too', async (t) => {
  const origin = 'https://app.test';
  const { service, upstream } = await startGateway(
    t,
    { CORS_ORIGINS: origin },
    {
      '/varies': (_request, response) => response.setHeader('vary', 'Accept-Language').end('{}'),
    },
  );
  const { token } = await confirmedPerson(service);
  const preflight = { origin, 'access-control-request-method': 'PUT', 'access-control-request-headers': 'authorization' };
  const answer = await service.request('OPTIONS', '/page', { headers: preflight });
  t.match(answer, { status: 204, headers: { 'access-control-allow-origin': origin, 'access-control-allow-credentials': 'true' } });
  t.not((await service.request('OPTIONS', '/page', { token })).status, 200);
  t.equal(upstream.passed.length, 0, 'of no request with that method it hears');
  t.match(await service.get('/page', { token, headers: { origin } }), { status: 200, headers: { 'access-control-allow-origin': origin } });
  const varies = await service.get('/varies', { token, headers: { origin } });
  t.match(varies.headers['vary'], /Origin/i);
  t.match(varies.headers['vary'], /Accept-Language/i);
  const other = await service.get('/page', { token, headers: { origin: 'https://evil.test' } });
  t.not(other.headers['access-control-allow-origin'], 'https://evil.test');
});

t.test('all of it can be open to everybody, who is logged in being told', async (t) => {
  const { service } = await startGateway(t, { UPSTREAM_PUBLIC_PATHS: '/' });
  const person = await confirmedPerson(service);
  t.match(await service.get('/anything'), { status: 200, body: { url: '/anything' } });
  t.match((await service.get('/', { token: person.token })).body.headers, identityOf(person));
  refused(t, await service.get('/auth/me'), 401, 'unauthenticated');
});
