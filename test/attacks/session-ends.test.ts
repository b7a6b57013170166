import t from 'tap';
import { cookieHeader, setCookies } from '../support/cookies.ts';
import { leap } from '../support/held-clock.ts';
import { confirmedPerson, openSession } from '../support/person.ts';
import { refused } from '../support/refusal.ts';
import { startSessionService } from '../support/session-service.ts';

t.test('F05 whoever logs out is out at once, with all tokens of the session', async (t) => {
  const { service, refresh } = await startSessionService(t);
  const person = await confirmedPerson(service);
  const held = await openSession(service, person);
  const renewed = (await refresh(held.refreshToken)).body;
  t.equal((await service.get('/secret', { token: held.accessToken })).status, 200);
  t.equal((await service.post('/auth/logout', undefined, { token: renewed.accessToken })).status, 204);
  for (const token of [held.accessToken, renewed.accessToken]) {
    for (const url of ['/auth/me', '/secret', '/auth/verify']) refused(t, await service.get(url, { token }), 401, 'unauthenticated', url);
    refused(t, await service.post('/auth/logout', undefined, { token }), 401, 'unauthenticated', 'a second time');
  }
  for (const token of [held.refreshToken, renewed.refreshToken]) refused(t, await refresh(token), 401, 'invalid_refresh_token');
  t.equal((await service.get('/secret', { token: person.token })).status, 200, 'the other session goes on');
});

for (const { publicUrl, prefix, flags } of [
  { publicUrl: 'http://localhost:3000', prefix: '', flags: {} },
  { publicUrl: 'https://auth.example.com', prefix: '__Host-', flags: { Secure: '' } },
]) {
  t.test(`F05 a logout clears the cookies as they were set, and they are worth nothing (${publicUrl})`, async (t) => {
    const { service, byCookie, logInByCookie } = await startSessionService(t, { PUBLIC_URL: publicUrl });
    const person = await confirmedPerson(service);
    for (const rememberMe of [false, true]) {
      const cookies = await logInByCookie(person, rememberMe);
      t.strictSame(
        cookies.map(({ name }) => name),
        [`${prefix}access`, `${prefix}refresh`],
      );
      refused(
        t,
        await service.post('/auth/logout', undefined, { headers: { cookie: cookieHeader(cookies) } }),
        403,
        'cross_origin_rejected',
      );
      t.equal((await service.get('/secret', { headers: byCookie(cookies) })).status, 200);
      const answer = await service.post('/auth/logout', undefined, { headers: byCookie(cookies) });
      t.equal(answer.status, 204);
      const cleared = setCookies(answer);
      t.strictSame(
        cleared.map(({ name, value }) => `${name}=${value}`),
        cookies.map(({ name }) => `${name}=`),
      );
      for (const [index, { attributes }] of cleared.entries()) {
        const { Expires, 'Max-Age': maxAge, ...rest } = attributes;
        const { 'Max-Age': _, ...asSet } = cookies[index]?.attributes ?? {};
        t.strictSame(rest, asSet, 'with the attributes that they were set with');
        t.strictSame(rest, { Path: '/', HttpOnly: '', ...flags, SameSite: 'Lax' });
        t.ok(maxAge === '0' || new Date(Expires ?? Date.now()).getTime() < Date.now(), 'and a time that is over');
      }
      refused(t, await service.get('/secret', { headers: byCookie(cookies) }), 401, 'unauthenticated', 'the cookies again');
      refused(t, await service.post('/auth/refresh', undefined, { headers: byCookie(cookies) }), 401, 'invalid_refresh_token');
    }
  });
}

t.test('F07 a session ends when it has not been used for its idle time, and after 30 days in any case', async (t) => {
  const { service, tables, refresh } = await startSessionService(t);
  const { clock } = service;
  const person = await confirmedPerson(service);
  const open = async (rememberMe: boolean) =>
    (await service.post('/auth/login', { email: person.email, password: person.password, rememberMe })).body;
  const day = 86_400;
  for (const [rememberMe, idle] of [
    [false, day],
    [true, 7 * day],
  ] as const) {
    await leap(clock, tables, 0);
    const [used, unused] = [await open(rememberMe), await open(rememberMe)];
    await leap(clock, tables, idle - 0.001);
    const renewed = await refresh(used.refreshToken);
    t.equal(renewed.status, 200, 'a millisecond before');
    await leap(clock, tables, 0.001);
    refused(t, await refresh(unused.refreshToken), 401, 'invalid_refresh_token', `after ${idle} s without use`);
    t.equal((await refresh(renewed.body.refreshToken)).status, 200);
  }
  await leap(clock, tables, 0);
  const opened = clock.now().getTime();
  let held = await open(true);
  t.equal(held.session.expiresAt, new Date(opened + 30 * day * 1000).toISOString());
  for (let days = 6; days < 30; days += 6) {
    await leap(clock, tables, 6 * day);
    held = (await refresh(held.refreshToken)).body;
    t.equal(held.session.expiresAt, new Date(opened + 30 * day * 1000).toISOString(), 'no refresh moves its end');
  }
  await leap(clock, tables, 6 * day - 60);
  held = (await refresh(held.refreshToken)).body;
  t.ok(held.expiresIn <= 60, 'the access token does not outlive the session');
  t.equal((await service.get('/secret', { token: held.accessToken })).status, 200);
  await leap(clock, tables, 60);
  refused(t, await refresh(held.refreshToken), 401, 'invalid_refresh_token', 'after 30 days');
  refused(t, await service.get('/secret', { token: held.accessToken }), 401, 'unauthenticated');
  t.equal((await refresh((await open(false)).refreshToken)).status, 200, 'a new session is a new one');
});
