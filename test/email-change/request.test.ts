import { and, eq } from 'drizzle-orm';
import { decodeJwt } from 'jose';
import t from 'tap';
import { mails, users } from '../../src/db/schema.ts';
import { outboxEmpty } from '../support/held-clock.ts';
import { linksOf } from '../support/mail-server.ts';
import { confirmedPerson, emailChangeToken, logIn, openSession, register } from '../support/person.ts';
import { refused } from '../support/refusal.ts';
import { startService } from '../support/service.ts';
import { openTables } from '../support/tables.ts';

t.test('asking for another address', async (t) => {
  const service = await startService(t);
  const tables = openTables(t, service);
  const ask = (token: string | undefined, body: object, headers: Record<string, string> = {}) =>
    service.post('/auth/email', body, { ...(token !== undefined && { token }), headers });
  const mailsOf = (userId: string) => tables.select().from(mails).where(eq(mails.userId, userId)).orderBy(mails.id);
  const pendingOf = async (id: string) => (await tables.select().from(users).where(eq(users.id, id)))[0]?.pendingEmail;

  t.test('E01: is refused without a session, without the password, or with a wrong one', async (t) => {
    const person = await confirmedPerson(service);
    const { token, password } = person;
    const newEmail = `next.${person.email}`;
    const anonymous = await ask(undefined, { newEmail, password });
    refused(t, anonymous, 401, 'unauthenticated');
    t.equal(anonymous.headers['www-authenticate'], 'Bearer');
    for (const body of [{ newEmail }, { newEmail, password: '' }, { newEmail, password: [password] }, { newEmail, password: null }]) {
      refused(t, await ask(token, body), 400, 'validation_failed', JSON.stringify(body));
    }
    for (const wrong of [`${password}x`, password.toUpperCase(), 'x'.repeat(5000)]) {
      refused(t, await ask(token, { newEmail, password: wrong }), 403, 'wrong_password', wrong.slice(0, 40));
    }
    refused(t, await ask(token, { newEmail, password, userId: person.id }), 400, 'validation_failed', 'an unknown member');
    t.equal(await pendingOf(person.id), null);
    t.equal((await mailsOf(person.id)).length, 1, 'nothing was mailed');
    const { events } = (await service.get('/auth/events?limit=100', { token })).body;
    t.equal(events.filter(({ type }: { type: string }) => type === 'password_refused').length, 3, 'wrong ones are recorded');
    t.notOk(events.some(({ type }: { type: string }) => type === 'email_change_requested'));
  });

  t.test('E05: sends a link to the new address, and a notice without one to the old', async (t) => {
    const person = await confirmedPerson(service);
    const newEmail = `Next.${person.email}`;
    const answer = await ask(person.token, { newEmail, password: person.password });
    t.equal(answer.status, 202);
    t.match(answer.headers, { 'content-type': /^application\/json/, 'cache-control': 'no-store' });
    t.strictSame(answer.body, { pendingEmail: newEmail, expiresIn: 3600 });
    const mail = await service.mailServer.mailTo(newEmail);
    t.strictSame(mail.recipients, [newEmail]);
    const [link = '', ...others] = linksOf(mail);
    t.match(link, /^http:\/\/localhost:3000\/auth\/email\/confirm\/[\w-]+\.[\w-]+\.[\w-]+$/);
    t.strictSame(others, []);
    const { iat = 0, exp = 0 } = decodeJwt(link.split('/').at(-1) ?? '');
    t.equal(exp - iat, 3600);
    const notice = await service.mailServer.mailTo(person.email, 2);
    t.strictSame(notice.recipients, [person.email]);
    t.notMatch(`${notice.text} ${notice.html}`, /\/auth\/email\/confirm\//);
    await outboxEmpty(tables);
    t.strictSame((await mailsOf(person.id)).map(({ kind, recipient, status }) => `${kind} ${recipient} ${status}`).sort(), [
      `confirmation ${person.email} sent`,
      `email_change ${newEmail} sent`,
      `email_change_requested ${person.email} sent`,
    ]);
    const { events } = (await service.get('/auth/events?limit=100', { token: person.token })).body;
    t.equal(events.filter(({ type }: { type: string }) => type === 'email_change_requested').length, 1);
  });

  t.test('E02: leaves the old address in force', async (t) => {
    const person = await confirmedPerson(service);
    const newEmail = `next.${person.email}`;
    await emailChangeToken(service, person, newEmail);
    const { accessToken, refreshToken } = await openSession(service, person);
    t.match(decodeJwt(accessToken), { email: person.email, confirmed: true });
    refused(t, await service.post('/auth/login', { email: newEmail, password: person.password }), 401, 'invalid_credentials');
    const refreshed = await service.post('/auth/refresh', { refreshToken });
    t.match(refreshed.body.user, { email: person.email, confirmed: true });
    t.match(decodeJwt(refreshed.body.accessToken), { email: person.email });
    t.match((await service.get('/auth/me', { token: accessToken })).body.user, { email: person.email, confirmed: true });
    t.equal((await service.get('/auth/verify', { token: accessToken })).headers['x-auth-email'], person.email);
    t.equal((await service.get('/secret', { token: person.token })).status, 200);
  });

  t.test('E04: is refused for an address that an account has, whoever it is, in any case', async (t) => {
    const person = await confirmedPerson(service);
    const [confirmed, unconfirmed, disabled] = [await confirmedPerson(service), await register(service), await register(service)];
    await tables.update(users).set({ disabledAt: service.clock.now() }).where(eq(users.id, disabled.id));
    for (const { email } of [confirmed, unconfirmed, disabled, person]) {
      for (const newEmail of [email, email.toUpperCase()]) {
        const answer = await ask(person.token, { newEmail, password: person.password });
        refused(t, answer, 409, 'email_taken', newEmail);
        t.match(answer.body.errors, [{ pointer: '/newEmail', code: 'email_taken' }]);
        t.equal(answer.body.errors.length, 1);
        refused(t, await ask(person.token, { newEmail, password: 'wrong' }), 403, 'wrong_password', 'tells nothing without the password');
      }
    }
    t.equal(await pendingOf(person.id), null);
    t.equal((await mailsOf(person.id)).length, 1, 'nothing was mailed');
  });

  t.test('does not reserve the address: two may ask for it, and anybody may register with it', async (t) => {
    const [first, second] = [await confirmedPerson(service), await confirmedPerson(service)];
    const newEmail = `both.${first.email}`;
    for (const { token, password } of [first, second]) t.equal((await ask(token, { newEmail, password })).status, 202);
    const details = { email: newEmail, username: `both.${first.username}`, password: 'a password of its own' };
    t.ok(await register(service, details));
    refused(t, await ask(first.token, { newEmail, password: first.password }), 409, 'email_taken');
  });

  t.test('is refused for what is no address, and mails nobody', async (t) => {
    const { id, token, password, email } = await confirmedPerson(service);
    await outboxEmpty(tables);
    const before = service.mailServer.received.length;
    const injections = [
      `next@example.com\r\nBcc: evil@example.com`,
      `next@example.com\nBcc: evil@example.com`,
      'next@example.com%0d%0aBcc:evil@example.com',
      'next@example.com,evil@example.com',
      'next@example.com evil@example.com',
      '<evil@example.com>',
      'Next <evil@example.com>',
      '"evil@example.com"@example.com',
      'evil@example.com\u2028',
    ];
    for (const newEmail of [
      ...injections,
      '',
      'x',
      'a@b',
      '@example.com',
      `${'a'.repeat(65)}@example.com`,
      [email],
      { $ne: '' },
      null,
      1,
    ]) {
      refused(
        t,
        await ask(token, { newEmail, password }),
        400,
        'validation_failed',
        JSON.stringify(newEmail).slice(0, 60).replace('\u2028', ' '),
      );
    }
    refused(t, await ask(token, { newEmail: 'a\u0000@example.com', password }), 400, 'malformed_request', 'a NUL');
    t.equal(await pendingOf(id), null);
    await outboxEmpty(tables);
    t.equal(service.mailServer.received.length, before);
  });

  t.test('takes nothing for the link from the request', async (t) => {
    const { token, password, email } = await confirmedPerson(service);
    const headers = {
      host: 'evil.example',
      'x-forwarded-host': 'evil.example',
      forwarded: 'host=evil.example',
      'x-forwarded-proto': 'https',
    };
    const newEmail = `next.${email}`;
    t.equal((await ask(token, { newEmail, password }, { ...headers, origin: 'https://evil.example' })).status, 202);
    const mail = await service.mailServer.mailTo(newEmail);
    t.match(linksOf(mail)[0], /^http:\/\/localhost:3000\/auth\/email\/confirm\//);
    t.notMatch(`${mail.text} ${mail.html}`, /evil/);
  });

  t.test('may be done by whoever is unconfirmed, and confirms nothing by itself', async (t) => {
    const person = await register(service);
    const token = await logIn(service, person);
    await emailChangeToken(service, { ...person, token }, `next.${person.email}`);
    refused(t, await service.get('/secret', { token }), 403, 'unconfirmed');
    t.match((await service.get('/auth/me', { token })).body.user, { email: person.email, confirmed: false });
  });

  t.test('is not done for a session that has ended, or of a disabled account', async (t) => {
    const [left, disabled] = [await register(service), await register(service)];
    const tokens = [await logIn(service, left), await logIn(service, disabled)];
    await service.post('/auth/logout', undefined, { token: tokens[0] as string });
    await tables.update(users).set({ disabledAt: service.clock.now() }).where(eq(users.id, disabled.id));
    for (const [index, { email, password }] of [left, disabled].entries()) {
      refused(t, await ask(tokens[index], { newEmail: `next.${email}`, password }), 401, 'unauthenticated');
    }
  });

  t.test('sends the notice to the old address however often it is done', async (t) => {
    const person = await confirmedPerson(service);
    for (const turn of [1, 2]) await emailChangeToken(service, person, `turn${turn}.${person.email}`);
    await service.mailServer.mailTo(person.email, 3);
    const isNotice = and(eq(mails.userId, person.id), eq(mails.kind, 'email_change_requested'));
    t.equal(await tables.$count(mails, isNotice), 2);
  });
});

t.test('EMAIL_CHANGE_URL and EMAIL_CHANGE_TTL_SECONDS make the link', async (t) => {
  const service = await startService(t, { EMAIL_CHANGE_URL: 'https://app.example/move/{token}/now', EMAIL_CHANGE_TTL_SECONDS: '600' });
  const { token, password, email } = await confirmedPerson(service);
  const newEmail = `next.${email}`;
  t.match(await service.post('/auth/email', { newEmail, password }, { token }), { status: 202, body: { expiresIn: 600 } });
  const [link = ''] = linksOf(await service.mailServer.mailTo(newEmail));
  const [, mailed = ''] = /^https:\/\/app\.example\/move\/([\w-]+\.[\w-]+\.[\w-]+)\/now$/.exec(link) ?? [];
  const { iat = 0, exp = 0 } = decodeJwt(mailed);
  t.equal(exp - iat, 600);
  t.equal((await service.post('/auth/email/confirm', { token: mailed, password })).status, 200);
});
