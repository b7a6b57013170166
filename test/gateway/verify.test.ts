import t, { type Test } from 'tap';
import { changeRole, disableUser, requireNamedUser } from '../../src/administration/manage-user.ts';
import { Problem } from '../../src/problems/problem.ts';
import type { Answer } from '../support/client.ts';
import { confirmationPath, confirmedPerson, logIn, type Person, register } from '../support/person.ts';
import { refused } from '../support/refusal.ts';
import { startService } from '../support/service.ts';

t.test('W01: forward authentication', async (t) => {
  const service = await startService(t);
  const { services } = service.app;
  const [person, other] = [await confirmedPerson(service), await confirmedPerson(service)];
  const verify = (token?: string, headers: Readonly<Record<string, string>> = {}) =>
    service.get('/auth/verify', { headers, ...(token !== undefined && { token }) });

  t.test('a confirmed user passes, and the proxy learns who it is', async (t) => {
    assertPassed(t, await verify(person.token), person);
    assertPassed(t, await verify(other.token), other);
  });

  t.test('it works by cookie, wherever the request that is asked about came from', async (t) => {
    const cookie = `access=${person.token}`;
    assertPassed(t, await verify(undefined, { cookie }), person);
    assertPassed(t, await verify(undefined, { cookie, 'sec-fetch-site': 'cross-site', origin: 'https://evil.test' }), person);
    assertStopped(t, await verify(undefined, { cookie: `refresh=${person.token}` }), 'another cookie');
  });

  t.test('nobody else passes: 401', async (t) => {
    const [head, claims, signature = ''] = person.token.split('.');
    const ended = await logIn(service, person);
    t.equal((await verify(ended)).status, 204);
    await service.post('/auth/logout', undefined, { token: ended });

    const anonymous = await verify();
    assertStopped(t, anonymous, 'no token');
    t.equal(anonymous.headers['www-authenticate'], 'Bearer');
    const wrong = await verify(`${head}.${claims}.${signature.split('').reverse().join('')}`);
    assertStopped(t, wrong, 'a forged one');
    t.equal(wrong.headers['www-authenticate'], 'Bearer error="invalid_token"');
    assertStopped(t, await verify(ended), 'one that was ended');
    assertStopped(t, await verify('x'), 'no token at all');
    assertStopped(t, await verify(undefined, { authorization: 'Basic eDp5' }), 'another scheme');
    assertStopped(t, await verify(undefined, { authorization: '' }), 'an empty header');
    assertStopped(t, await service.get(`/auth/verify?access_token=${person.token}`), 'in the query');
    assertStopped(t, await verify(undefined, { 'x-auth-user-id': person.id, 'x-auth-role': 'admin' }), 'what only we say');
    assertStopped(t, await verify(person.token, { 'user-agent': 'another browser' }), 'from another place');
  });

  t.test('two credentials that differ are none: 401', async (t) => {
    assertStopped(t, await verify(person.token, { cookie: `access=${other.token}` }), 'a bearer token and a cookie');
    assertStopped(t, await verify(undefined, { cookie: `access=${person.token}; access=${other.token}` }), 'two cookies');
    assertPassed(t, await verify(person.token, { cookie: `access=${person.token}` }), person);
  });

  t.test('an unconfirmed user is told so: 403, until the address is confirmed', async (t) => {
    const newcomer = await register(service);
    const token = await logIn(service, newcomer);
    const answer = await verify(token);
    refused(t, answer, 403, 'unconfirmed');
    t.match(answer.body, { resend: { method: 'POST', href: '/auth/confirm/resend' } });
    t.notOk(answer.headers['x-auth-user-id']);
    const asBrowser = await verify(token, { accept: 'text/html' });
    t.equal(asBrowser.status, 403, 'a browser is sent nowhere either');
    t.notOk(asBrowser.headers['location']);
    await service.get(await confirmationPath(service, newcomer), { token });
    assertPassed(t, await verify(token), newcomer);
  });

  t.test('a disabled user does not pass any more', async (t) => {
    const leaving = await confirmedPerson(service);
    assertPassed(t, await verify(leaving.token), leaving);
    await disableUser(services, await requireNamedUser(services.db, leaving.id));
    assertStopped(t, await verify(leaving.token), 'disabled');
  });

  t.test('the role is told', async (t) => {
    const admin = await confirmedPerson(service);
    await changeRole(services, await requireNamedUser(services.db, admin.id), 'admin');
    assertPassed(t, await verify(await logIn(service, admin)), admin, 'admin');
  });

  t.test('only what it is asked for is answered', async (t) => {
    const answer = await service.post('/auth/verify', undefined, { token: person.token });
    refused(t, answer, 405, 'method_not_allowed');
  });

  t.test('an expired token does not pass', async (t) => {
    const token = await logIn(service, person);
    service.clock.advance({ seconds: 290 });
    assertPassed(t, await verify(token), person);
    service.clock.advance({ seconds: 11 });
    assertStopped(t, await verify(token), 'expired');
  });
});

const browser = { accept: 'text/html,application/xhtml+xml,*/*;q=0.8' };

t.test('W01: a browser without a session learns where to log in', async (t) => {
  const service = await startService(t, {
    LOGIN_URL: 'https://app.test/login?from=proxy#top',
    TRUSTED_PROXIES: '127.0.0.0/8, 2001:db8::/32',
  });
  const verify = (headers: Readonly<Record<string, string>>, token?: string) =>
    service.get('/auth/verify', { headers, ...(token !== undefined && { token }) });
  const locationOf = async (headers: Readonly<Record<string, string>>) => (await verify({ ...browser, ...headers })).headers['location'];
  /** What `next` says when a proxy tells this of the original request. */
  async function nextFor(headers: Readonly<Record<string, string>>): Promise<string | null> {
    const answer = await verify({ ...browser, ...headers });
    refused(t, answer, 401, 'unauthenticated');
    const { origin, pathname, searchParams } = new URL(answer.headers['location'] ?? '');
    t.equal(origin + pathname, 'https://app.test/login');
    return searchParams.get('next');
  }

  t.test('with the path that it came for', async (t) => {
    t.equal(await locationOf({ 'x-original-uri': '/page?a=1' }), 'https://app.test/login?from=proxy&next=%2Fpage%3Fa%3D1#top');
    t.equal(await locationOf({ 'x-forwarded-uri': '/page?a=1' }), 'https://app.test/login?from=proxy&next=%2Fpage%3Fa%3D1#top');
    t.equal(await locationOf({}), 'https://app.test/login?from=proxy#top');
    for (const uri of [
      '/',
      '/a//b',
      '/%C3%BC/a%20b',
      '/100%',
      '/a?q=%5C%0A//x',
      '/a?u=https://evil.test',
      '/@evil.test',
      '/:80',
      '/?//x',
    ]) {
      t.equal(await nextFor({ 'x-original-uri': uri }), uri);
    }
    t.equal(await nextFor({ 'x-original-uri': `/${'a'.repeat(2047)}` }), `/${'a'.repeat(2047)}`);
    t.equal(await nextFor({ 'x-original-uri': '/a/../b/./c#d' }), '/b/c', 'as a browser reads it');
  });

  t.test('but with nothing that leads elsewhere, however it is written', async (t) => {
    const elsewhere = [
      '//evil.test',
      '///evil.test',
      '/\\evil.test',
      '\\\\evil.test',
      '/%2f%2fevil.test',
      '/%2F/evil.test',
      '/%5Cevil.test',
    ];
    const hidden = ['/.//evil.test', '/%2e//evil.test', '/a/..//evil.test', '/a/%2e%2e/%2fevil.test', '/%09/evil.test', '/%0a%2fevil.test'];
    const deep = ['/%252f%252fevil.test', '/%25252f/evil.test', `/%${'25'.repeat(9)}2f/evil.test`, '/.%2f/evil.test', '/a\\b', '/a%5Cb'];
    const noPath = [
      'https://evil.test/',
      'http:evil.test',
      'javascript:alert(1)',
      'evil.test',
      '?a',
      '*',
      '',
      ' /a',
      '/a b',
      '/\u00fc',
      '/a, /b',
    ];
    for (const uri of [...elsewhere, ...hidden, ...deep, ...noPath, `/${'a'.repeat(2048)}`]) {
      for (const name of ['x-original-uri', 'x-forwarded-uri'])
        t.equal(await nextFor({ [name]: uri }), null, `${name}: ${uri.slice(0, 40)}`);
    }
  });

  t.test('nor with what cannot be asked for again, or is told in two ways', async (t) => {
    for (const name of ['x-original-method', 'x-forwarded-method']) {
      for (const method of ['GET', 'HEAD']) t.equal(await nextFor({ 'x-original-uri': '/a', [name]: method }), '/a');
      for (const method of ['POST', 'DELETE', 'get', 'GARBAGE']) t.equal(await nextFor({ 'x-original-uri': '/a', [name]: method }), null);
    }
    t.equal(await nextFor({ 'x-original-uri': '/a', 'x-original-method': 'GET', 'x-forwarded-method': 'POST' }), null);
    t.equal(await nextFor({ 'x-original-uri': '/a', 'x-forwarded-uri': '/b' }), null);
    t.equal(await nextFor({ 'x-original-uri': '/a', 'x-forwarded-uri': '/a' }), '/a');
  });

  t.test('W02 nor with anything that is told by somebody else than a trusted proxy', async (t) => {
    const claims = {
      ...browser,
      'x-original-uri': '/a',
      'x-forwarded-uri': '/a',
      'x-forwarded-for': '127.0.0.1',
      forwarded: 'for=127.0.0.1',
    };
    const from = async (remoteAddress: string) => {
      const { statusCode, headers } = await service.app.inject({ url: '/auth/verify', headers: claims, remoteAddress });
      t.equal(statusCode, 401);
      return new URL(headers.location ?? '').searchParams.get('next');
    };
    for (const address of ['127.0.0.1', '127.9.9.9', '::ffff:127.0.0.1', '2001:db8::1']) t.equal(await from(address), '/a', address);
    for (const address of ['192.0.2.1', '::1', '2001:db9::1', '::ffff:192.0.2.1']) t.equal(await from(address), null, address);
  });

  t.test('an API client is sent nowhere, nor is anybody who has a session', async (t) => {
    const person = await confirmedPerson(service);
    for (const accept of ['application/json', '*/*', 'application/problem+json']) {
      t.equal((await verify({ accept, 'x-original-uri': '/a' })).headers['location'], undefined, accept);
    }
    t.equal((await verify({ 'x-original-uri': '/a' })).headers['location'], undefined);
    const passed = await verify({ ...browser, 'x-original-uri': '/a' }, person.token);
    t.match([passed.status, passed.headers['location']], [204, undefined]);
    const stopped = await verify({ ...browser, 'x-original-uri': '/a' }, await logIn(service, await register(service)));
    t.match([stopped.status, stopped.headers['location']], [403, undefined]);
    t.equal((await service.get('/secret', { headers: browser })).headers['location'], undefined, 'nor on any other route');
  });
});

t.test('W01: when it cannot tell, it says neither yes nor no', async (t) => {
  const service = await startService(t);
  const token = await logIn(service, await register(service));
  t.equal((await service.get('/auth/verify', { token })).status, 403);
  const { guard } = service.app;
  for (const [fault, status, code] of [
    [new Problem('service_unavailable', { retryAfterSeconds: 1 }), 503, 'service_unavailable'],
    [new Error('nobody knows'), 500, 'internal_error'],
  ] as const) {
    guard.findSession = () => Promise.reject(fault);
    const answer = await service.get('/auth/verify', { token });
    refused(t, answer, status, code);
    t.equal(answer.headers['retry-after'], status === 503 ? '1' : undefined);
  }
});

function assertPassed(t: Test, { status, headers, text }: Answer, { id, username, email }: Person, role = 'user'): void {
  const identity = { 'x-auth-user-id': id, 'x-auth-username': username, 'x-auth-email': email, 'x-auth-role': role };
  t.match(
    { status, headers, text },
    { status: 204, text: '', headers: { ...identity, 'cache-control': 'no-store', 'set-cookie': undefined } },
  );
}

function assertStopped(t: Test, answer: Answer, what: string): void {
  refused(t, answer, 401, 'unauthenticated', what);
  t.ok(answer.headers['www-authenticate']);
  t.strictSame(
    Object.keys(answer.headers).filter((name) => name.startsWith('x-auth-') || name === 'location'),
    [],
  );
}
