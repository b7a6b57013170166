import { eq } from 'drizzle-orm';
import t from 'tap';
import { users } from '../../src/db/schema.ts';
import { holdClock, leap, outboxEmpty } from '../support/held-clock.ts';
import { linksOf } from '../support/mail-server.ts';
import { confirmationPath, confirmationToken, logIn, type Person, register } from '../support/person.ts';
import { refused } from '../support/refusal.ts';
import { startService } from '../support/service.ts';
import { openTables } from '../support/tables.ts';

t.test('a confirmation link', async (t) => {
  const service = await startService(t, { ACCESS_TOKEN_TTL_SECONDS: '86400' });
  const tables = openTables(t, service);
  const { clock } = service;

  async function newcomer(): Promise<Person & { token: string; path: string }> {
    const person = await register(service);
    return { ...person, token: await logIn(service, person), path: await confirmationPath(service, person) };
  }
  const isConfirmed = async (token: string) => (await service.get('/auth/me', { token })).body.user.confirmed;
  const confirmedAt = async ({ id }: Person) => (await tables.select().from(users).where(eq(users.id, id)))[0]?.confirmedAt;

  t.test('C01: confirms for the session of its account, whose next request passes the guard', async (t) => {
    const { token, path, ...person } = await newcomer();
    refused(t, await service.get('/secret', { token }), 403, 'unconfirmed');
    const answer = await service.get(path, { token });
    t.equal(answer.status, 200);
    t.match(answer.headers, { 'content-type': /^application\/json/ });
    t.strictSame(Object.keys(answer.body).sort(), ['status', 'user']);
    t.match(answer.body, { status: 'confirmed', user: { id: person.id, email: person.email, confirmed: true } });
    t.equal((await service.get('/secret', { token })).status, 200);
  });

  t.test('C01: confirms with the password, on a device that has no session', async (t) => {
    const { token, password, ...person } = await newcomer();
    const answer = await service.post('/auth/confirm', { token: await confirmationToken(service, person), password });
    t.equal(answer.status, 200);
    t.match(answer.body, { status: 'confirmed', user: { id: person.id, confirmed: true } });
    t.equal((await service.get('/secret', { token })).status, 200, 'the session on the first device passes');
  });

  t.test('confirms when a client posts its token within the session', async (t) => {
    const { token, ...person } = await newcomer();
    const answer = await service.post('/auth/confirm', { token: await confirmationToken(service, person) }, { token });
    t.equal(answer.status, 200);
    t.match(answer.body, { status: 'confirmed', user: { confirmed: true } });
  });

  t.test('C02: works twice, and changes nothing the second time', async (t) => {
    const { token, path, password, ...person } = await newcomer();
    t.equal((await service.get(path, { token })).body.status, 'confirmed');
    const since = await confirmedAt({ ...person, password });
    clock.advance({ seconds: 5 });
    const mailed = await confirmationToken(service, person);
    const again = [
      await service.get(path, { token }),
      await service.post('/auth/confirm', { token: mailed }, { token }),
      await service.post('/auth/confirm', { token: mailed, password }),
    ];
    for (const { status, headers, body } of again) {
      t.equal(status, 200);
      t.strictSame(Object.keys(body).sort(), ['status', 'user'], 'it holds no session');
      t.match(body, { status: 'already_confirmed', user: { id: person.id, confirmed: true } });
      t.notOk(headers['set-cookie']);
    }
    t.strictSame(await confirmedAt({ ...person, password }), since);
  });

  t.test('C05: works until the last millisecond of its hour, and then no more', async (t) => {
    const [late, inTime] = [await newcomer(), await newcomer()];
    const [lateToken, inTimeToken] = [await confirmationToken(service, late), await confirmationToken(service, inTime)];
    const end = Math.min(...[lateToken, inTimeToken].map(expiry));
    t.ok(Math.abs(end - clock.now().getTime() - 3600_000) < 30_000, 'it lives for an hour');

    await outboxEmpty(tables);
    holdClock(clock, new Date(end - 1));
    t.match(await service.get(inTime.path, { token: inTime.token }), { status: 200, body: { status: 'confirmed' } });
    holdClock(clock, new Date(Math.max(expiry(lateToken), expiry(inTimeToken))));
    refused(t, await service.get(late.path, { token: late.token }), 410, 'expired_token', 'with the session');
    refused(
      t,
      await service.post('/auth/confirm', { token: lateToken, password: late.password }),
      410,
      'expired_token',
      'with the password',
    );
    refused(t, await service.get(late.path), 410, 'expired_token', 'with neither');
    refused(t, await service.get(inTime.path, { token: inTime.token }), 410, 'expired_token', 'once confirmed, too');
    t.equal(await isConfirmed(late.token), false);
    refused(t, await service.get('/secret', { token: late.token }), 403, 'unconfirmed');

    t.equal((await service.post('/auth/confirm/resend', undefined, { token: late.token })).status, 202);
    const fresh = await service.get(await confirmationPath(service, late, 2), { token: late.token });
    t.match(fresh, { status: 200, body: { status: 'confirmed' } }, 'another mail helps');
  });

  t.test('C08: does nothing in the session of another account', async (t) => {
    const [owner, other] = [await newcomer(), await newcomer()];
    refused(t, await service.get(owner.path, { token: other.token }), 403, 'wrong_account');
    const body = { token: await confirmationToken(service, owner) };
    refused(t, await service.post('/auth/confirm', body, { token: other.token }), 403, 'wrong_account', 'posted');
    for (const { token, id } of [owner, other]) {
      t.match(
        (await service.get('/auth/me', { token })).body.user,
        { id, confirmed: false },
        'nobody is confirmed, no session is switched',
      );
    }
    t.equal((await service.get(owner.path, { token: owner.token })).status, 200, 'it works for its owner');
    refused(t, await service.get(owner.path, { token: other.token }), 403, 'wrong_account', 'once confirmed, too');
  });

  t.test('C09: is for one address, and dies when the account gets another', async (t) => {
    const { id, token, path, password, email, username } = await newcomer();
    const moved = { email: `moved.${email}`, emailCanonical: `moved.${email}` };
    await tables.update(users).set(moved).where(eq(users.id, id));
    refused(t, await service.get(path, { token }), 400, 'invalid_token');
    const body = { token: await confirmationToken(service, { email }), password };
    refused(t, await service.post('/auth/confirm', body), 400, 'invalid_token', 'with the password');
    t.equal(await isConfirmed(token), false);

    await leap(clock, tables, 60);
    await service.post('/auth/confirm/resend', undefined, { token });
    const link = await confirmationPath(service, { email: moved.email });
    t.match(await service.get(link, { token }), { status: 200, body: { user: { username, email: moved.email, confirmed: true } } });
  });

  t.test('is dead when its account is gone', async (t) => {
    const { id, path, email, username, password } = await newcomer();
    const { token: passerBy } = await newcomer();
    // A worker that settles a mail and somebody who deletes its user could wait for each other.
    await outboxEmpty(tables);
    await tables.delete(users).where(eq(users.id, id));
    refused(t, await service.get(path, { token: passerBy }), 400, 'invalid_token');
    const again = await register(service, { email, username, password });
    refused(
      t,
      await service.get(path, { token: await logIn(service, again) }),
      400,
      'invalid_token',
      'for a new account with the same address',
    );
  });

  t.test('does nothing for a disabled account', async (t) => {
    const { token, path, password, ...person } = await newcomer();
    await tables.update(users).set({ disabledAt: clock.now() }).where(eq(users.id, person.id));
    refused(t, await service.get(path, { token }), 401, 'unauthenticated');
    const body = { token: await confirmationToken(service, person), password };
    refused(t, await service.post('/auth/confirm', body), 401, 'invalid_credentials');
    await tables.update(users).set({ disabledAt: null }).where(eq(users.id, person.id));
    t.equal(await isConfirmed(token), false);
    t.equal((await service.post('/auth/confirm', body)).status, 200, 'until it is enabled again');
  });

  t.test('C12, C14: its answers leak nothing, and log nobody in', async (t) => {
    const { token, path, password, ...person } = await newcomer();
    const body = { token: await confirmationToken(service, person) };
    const answers = [
      await service.get(path),
      await service.get(path, { token }),
      await service.get(path, { token, headers: { accept: 'text/html', origin: 'https://evil.example', host: 'evil.example' } }),
      await service.post('/auth/confirm', body, { token }),
      await service.post('/auth/confirm', { ...body, password }),
      await service.get('/auth/confirm/x'),
    ];
    t.strictSame(
      answers.map(({ status }) => status),
      [401, 200, 200, 200, 200, 400],
    );
    for (const { headers, text } of answers) {
      t.match(headers, {
        'cache-control': 'no-store',
        'referrer-policy': 'no-referrer',
        'x-content-type-options': 'nosniff',
        'content-security-policy': /default-src 'none'/,
        'set-cookie': undefined,
        location: undefined,
      });
      t.notMatch(text, /evil|[Tt]oken":|argon2/);
      t.notMatch(text, body.token);
    }
  });

  t.test('is in both parts of the mail, alone but for "this was not me", and under the configured address', async (t) => {
    const person = await register(service);
    const mail = await service.mailServer.mailTo(person.email);
    const [link = '', disown = ''] = linksOf(mail);
    t.ok(link.startsWith('http://localhost:3000/auth/confirm/'));
    t.ok(disown.startsWith('http://localhost:3000/auth/disown/'));
    const targets = [...String(mail.html).matchAll(/href="(https?:[^"]*)"/g)].map(([, href]) => href);
    t.ok(targets.length > 0);
    t.strictSame([...new Set(targets)], [link, disown]);
  });
});

/** When a token ends, as it says itself, in milliseconds. */
function expiry(token: string): number {
  return JSON.parse(Buffer.from(token.split('.')[1] ?? '', 'base64url').toString()).exp * 1000;
}
