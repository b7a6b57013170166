import t, { type Test } from 'tap';
import { administratorOf, waysToShutOut } from '../support/administrator.ts';
import { cookieHeader, setCookies } from '../support/cookies.ts';
import { startHttpService } from '../support/http.ts';
import { confirmationToken, confirmedPerson, type HeldSession, openSession, type Person, register, resetToken } from '../support/person.ts';
import { refused } from '../support/refusal.ts';

t.test('L11 who is disabled or deleted is out at once', async (t) => {
  const service = await startHttpService(t, { RATE_LIMIT: 'off' });
  const administrator = await administratorOf(service);
  const bystander = await openSession(service, await confirmedPerson(service));
  const own = { 'sec-fetch-site': 'same-origin' };

  interface Keys {
    readonly held: readonly HeldSession[];
    /** What the browser of the person sends along. */
    readonly headers: Readonly<Record<string, string>>;
  }
  /** Asserts that nothing that somebody holds opens anything. */
  async function assertOut(t: Test, { email, username, password }: Person, { held, headers }: Keys): Promise<void> {
    for (const path of ['/auth/me', '/secret', '/auth/sessions', '/auth/unconfirmed', '/auth/verify', '/auth/me/export']) {
      for (const { accessToken } of held) refused(t, await service.get(path, { token: accessToken }), 401, 'unauthenticated', path);
      refused(t, await service.get(path, { headers }), 401, 'unauthenticated', `${path} by cookie`);
    }
    for (const { refreshToken } of held) {
      refused(t, await service.post('/auth/refresh', { refreshToken }), 401, 'invalid_refresh_token');
    }
    refused(t, await service.post('/auth/refresh', undefined, { headers }), 401, 'invalid_refresh_token', 'by cookie');
    for (const name of [{ email }, { username }]) {
      refused(t, await service.post('/auth/login', { ...name, password }), 401, 'invalid_credentials');
    }
  }

  for (const [what, shutOut] of Object.entries(waysToShutOut(service, administrator))) {
    for (const kind of ['confirmed', 'unconfirmed'] as const) {
      t.test(`L11 a ${kind} account that is ${what}`, async (t) => {
        const person = kind === 'confirmed' ? await confirmedPerson(service) : await register(service);
        const { email, password } = person;
        const link = await confirmationToken(service, person);
        const reset = await resetToken(service, person);
        const [one, other] = [await openSession(service, person), await openSession(service, person)];
        const login = await service.post('/auth/login', { email, password, transport: 'cookie' }, { headers: own });
        const headers = { ...own, cookie: cookieHeader(setCookies(login)) };
        const me = async (token: string) => (await service.get('/auth/me', { token })).status;
        t.strictSame([await me(one.accessToken), await me(other.accessToken)], [200, 200], 'until then');
        t.equal((await service.get('/auth/me', { headers })).status, 200, 'by cookie, too');

        const { status } = await shutOut(person, one.accessToken);
        t.match(status, /^20[04]$/, what);
        await assertOut(t, person, { held: [one, other], headers });
        const confirmation = await service.post('/auth/confirm', { token: link, password });
        t.match(confirmation.body.code, /^(invalid_token|invalid_credentials)$/, 'nor does a mailed link let them in');
        const withReset = await service.post('/auth/password/reset', { token: reset, newPassword: 'another way to get in' });
        t.match(withReset.body.code, /^(invalid_token|used_token)$/);
        t.equal(await me(bystander.accessToken), 200, 'nobody else is out');
      });
    }
  }

  t.test('L11 who is let in again logs in anew', async (t) => {
    const person = await confirmedPerson(service);
    const held = await openSession(service, person);
    const set = (disabled: boolean) => service.request('PATCH', `/admin/users/${person.id}`, { token: administrator, body: { disabled } });
    for (const disabled of [true, false]) t.match((await set(disabled)).body.user, { disabled });
    refused(t, await service.get('/auth/me', { token: held.accessToken }), 401, 'unauthenticated', 'the old session stays over');
    refused(t, await service.post('/auth/refresh', { refreshToken: held.refreshToken }), 401, 'invalid_refresh_token');
    const { accessToken } = await openSession(service, person);
    t.equal((await service.get('/secret', { token: accessToken })).status, 200);
  });
});
