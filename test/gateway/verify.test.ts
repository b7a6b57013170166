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
    service.clock.advance({ seconds: 298 });
    assertPassed(t, await verify(token), person);
    service.clock.advance({ seconds: 3 });
    assertStopped(t, await verify(token), 'expired');
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
