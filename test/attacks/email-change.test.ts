import { eq } from 'drizzle-orm';
import { decodeJwt } from 'jose';
import t from 'tap';
import { users } from '../../src/db/schema.ts';
import { setCookies } from '../support/cookies.ts';
import { outboxEmpty } from '../support/held-clock.ts';
import { listening } from '../support/listening.ts';
import { linksOf } from '../support/mail-server.ts';
import { confirmedPerson, emailChangeToken, logIn, openSession, register, resetToken } from '../support/person.ts';
import { refused } from '../support/refusal.ts';
import { startService } from '../support/service.ts';
import { openTables } from '../support/tables.ts';

t.test('changes of the address', async (t) => {
  const service = await listening(await startService(t, { RATE_LIMIT: 'off' }));
  const tables = openTables(t, service);
  const ask = (body: unknown, token?: string, headers: Readonly<Record<string, string>> = {}) =>
    service.post('/auth/email', body, { ...(token !== undefined && { token }), headers });
  const follow = (link: string, token?: string) => service.get(`/auth/email/confirm/${link}`, { ...(token !== undefined && { token }) });
  const post = (body: object, token?: string) => service.post('/auth/email/confirm', body, { ...(token !== undefined && { token }) });
  const mailsTo = (email: string) => service.mailServer.received.filter(({ recipients }) => recipients.includes(email));
  const account = async (token: string) => (await service.get('/auth/me/export', { token })).body.account;

  async function mover() {
    const person = await confirmedPerson(service);
    const newEmail = `next.${person.email}`;
    return { ...person, newEmail, link: await emailChangeToken(service, person, newEmail) };
  }

  await t.test('E01 a session alone asks for no other address', async (t) => {
    const [person, other] = [await confirmedPerson(service), await confirmedPerson(service)];
    const { token, password, email } = person;
    const newEmail = `next.${email}`;
    await outboxEmpty(tables);
    const before = service.mailServer.received.length;
    for (const body of [
      { newEmail },
      { newEmail, password: '' },
      { newEmail, password: null },
      { newEmail, password: [password] },
      { newEmail, password: { $ne: '' } },
      { newEmail, password: true },
      { newEmail, Password: password },
      { newEmail, currentPassword: password },
      { email: newEmail, password },
      { newEmail: [newEmail], password },
      { newEmail, password, confirmed: true },
      { newEmail, password, userId: other.id },
      { newEmail, password, email: other.email },
      { newEmail, password, confirmUrl: 'https://evil.example/{token}' },
      [{ newEmail, password }],
    ]) {
      refused(t, await ask(body, token), 400, 'validation_failed', JSON.stringify(body));
    }
    const near = [`${password}x`, password.slice(0, -1), ` ${password}`, password.toUpperCase(), `${password}\u0301`];
    for (const wrong of [...near, other.password, "' or '1'='1", 'x'.repeat(8000)]) {
      refused(t, await ask({ newEmail, password: wrong }, token), 403, 'wrong_password', wrong.slice(0, 30));
      refused(
        t,
        await ask({ newEmail: other.email, password: wrong }, token),
        403,
        'wrong_password',
        'nor does it tell who has an address',
      );
    }
    refused(t, await ask({ newEmail, password }), 401, 'unauthenticated', 'without a session');
    refused(t, await ask({ newEmail, password: person.password }, other.token), 403, 'wrong_password', 'in the session of another');
    const login = await service.post('/auth/login', { email, password, transport: 'cookie' }, { headers: { 'sec-fetch-site': 'none' } });
    const cookie = setCookies(login)
      .map(({ name, value }) => `${name}=${value}`)
      .join('; ');
    const foreign = { cookie, 'sec-fetch-site': 'cross-site', origin: 'https://evil.example' };
    refused(t, await ask({ newEmail, password }, undefined, foreign), 403, 'cross_origin_rejected', 'from another site');
    for (const body of [{ email: newEmail }, { newEmail }, { pendingEmail: newEmail }]) {
      refused(
        t,
        await service.request('PATCH', '/auth/me', { token, body }),
        400,
        'validation_failed',
        'among the other things of the account',
      );
    }
    t.match(await account(token), { email, pendingEmail: null });
    await outboxEmpty(tables);
    t.equal(service.mailServer.received.length, before, 'nothing was mailed');
    t.match(await ask({ newEmail, password }, token), { status: 202, body: { pendingEmail: newEmail } });
    t.match(await account(token), { email, pendingEmail: newEmail });
  });

  await t.test('E02 until the new address is confirmed the old one is in force everywhere', async (t) => {
    const { email, newEmail, password, token, username } = await mover();
    refused(t, await service.post('/auth/login', { email: newEmail, password }), 401, 'invalid_credentials', 'a login with the new one');
    const { accessToken, refreshToken } = await openSession(service, { email, password });
    const renewed = (await service.post('/auth/refresh', { refreshToken })).body;
    for (const held of [token, accessToken, renewed.accessToken]) {
      t.match(decodeJwt(held), { email });
      t.match((await service.get('/auth/me', { token: held })).body.user, { email, confirmed: true });
      t.equal((await service.get('/auth/verify', { token: held })).headers['x-auth-email'], email);
      t.equal((await service.get('/secret', { token: held })).status, 200);
    }
    await outboxEmpty(tables);
    const before = mailsTo(newEmail).length;
    t.equal((await service.post('/auth/password/forgot', { email: newEmail })).status, 202, 'is taken like any address');
    t.ok(await resetToken(service, { email }), 'a reset goes to the old one');
    await outboxEmpty(tables);
    t.equal(mailsTo(newEmail).length, before, 'and not to the new one');
    // It is not reserved, either: whoever can read the mail there may have an account of their own.
    t.ok(await register(service, { email: newEmail, username: `own.${username}`, password: 'a password of its own' }));
  });

  await t.test('E04 an address that somebody has is refused, when asked for and when confirmed', async (t) => {
    const person = await confirmedPerson(service);
    const [confirmed, unconfirmed, disabled] = [await confirmedPerson(service), await register(service), await register(service)];
    await tables.update(users).set({ disabledAt: service.clock.now() }).where(eq(users.id, disabled.id));
    await register(service, { email: 'idn@xn--bcher-kva.example', username: 'idn.owner', password: 'a password of its own' });
    const taken = [confirmed.email, unconfirmed.email, disabled.email, person.email].flatMap((email) => [email, email.toUpperCase()]);
    for (const newEmail of [...taken, 'IDN@bücher.example', 'idn@BÜCHER.example', 'idn@XN--BCHER-KVA.example']) {
      const answer = await ask({ newEmail, password: person.password }, person.token);
      refused(t, answer, 409, 'email_taken', newEmail);
      t.match(answer.body.errors, [{ pointer: '/newEmail' }]);
    }
    t.match(await account(person.token), { pendingEmail: null });
    t.equal((await ask({ newEmail: `free.${person.email}`, password: person.password }, person.token)).status, 202);

    for (const spell of [(email: string) => email, (email: string) => email.toUpperCase()]) {
      const { email, newEmail, link, password, token, username } = await mover();
      await register(service, { email: spell(newEmail), username: `first.${username}`, password: 'a password of its own' });
      refused(t, await follow(link, token), 409, 'email_taken', 'it went to somebody who registered');
      refused(t, await post({ token: link }, token), 409, 'email_taken');
      refused(t, await post({ token: link, password }), 409, 'email_taken');
      t.match((await service.get('/auth/me', { token })).body.user, { email, confirmed: true });
      t.ok(await logIn(service, { email, password }));
    }
    const [first, second] = [await confirmedPerson(service), await confirmedPerson(service)];
    const both = `both.${first.email}`;
    const links = [await emailChangeToken(service, first, both), await emailChangeToken(service, second, both)];
    t.equal((await follow(links[0] ?? '', first.token)).status, 200);
    refused(t, await follow(links[1] ?? '', second.token), 409, 'email_taken', 'it went to somebody who was faster');
  });

  await t.test('E05 the old address is told when the change is asked for, and again when it has happened', async (t) => {
    const { email, newEmail, link, token, password } = await mover();
    const asked = await service.mailServer.mailTo(email, 2);
    const confirmed = await follow(link, token);
    t.equal(confirmed.status, 200);
    const happened = await service.mailServer.mailTo(email, 3);
    await outboxEmpty(tables);
    t.equal(mailsTo(email).length, 3, 'besides the mail of the registration');
    t.equal(mailsTo(newEmail).length, 1);
    t.not(asked.subject, happened.subject);
    for (const notice of [asked, happened]) {
      t.strictSame(notice.recipients, [email]);
      const whole = `${notice.text}${notice.html}`;
      for (const secret of [link, password, token, newEmail])
        t.notOk(whole.includes(secret), 'with nothing that only the new one may know');
      t.notOk(linksOf(notice).some((each) => each.includes('/auth/email/')));
    }
    const unconfirmed = await register(service);
    const session = await logIn(service, unconfirmed);
    const move = await emailChangeToken(service, { ...unconfirmed, token: session }, `next.${unconfirmed.email}`);
    t.equal((await follow(move, session)).status, 200);
    await outboxEmpty(tables);
    t.equal(mailsTo(unconfirmed.email).length, 3, 'of an account that was never confirmed, too');
  });

  await t.test('E08 a link is for the session or the password of its own account alone', async (t) => {
    const { email, newEmail, link, password, token } = await mover();
    const other = await mover();
    const stranger = await logIn(service, await register(service));
    for (const session of [other.token, stranger]) {
      refused(t, await follow(link, session), 403, 'wrong_account', 'followed');
      refused(t, await post({ token: link }, session), 403, 'wrong_account', 'posted');
    }
    for (const session of [undefined, 'forged', link, other.link]) {
      for (const answer of [await follow(link, session), await post({ token: link }, session)]) {
        refused(t, answer, 401, 'unauthenticated');
        t.match(answer.headers['www-authenticate'], /^Bearer\b/);
      }
    }
    for (const wrong of [other.password, `${password}x`, password.toUpperCase(), link]) {
      refused(t, await post({ token: link, password: wrong }), 401, 'invalid_credentials');
      refused(t, await post({ token: link, password: wrong }, other.token), 401, 'invalid_credentials', 'in the session of another');
    }
    refused(t, await post({ token: link, password: '' }, token), 400, 'validation_failed');
    for (const headers of [{ accept: 'text/html' }, { 'sec-purpose': 'prefetch' }, { purpose: 'prefetch', 'user-agent': 'SafeLinks' }]) {
      t.notOk((await service.get(`/auth/email/confirm/${link}`, { headers })).headers['set-cookie'], JSON.stringify(headers));
    }
    for (const method of ['HEAD', 'PUT', 'DELETE', 'PATCH'] as const) {
      t.equal((await service.request(method, `/auth/email/confirm/${link}`, { token })).status, 405, method);
    }
    t.match(await account(token), { email, pendingEmail: newEmail }, 'nothing has changed');
    t.match((await service.get('/auth/me', { token: other.token })).body.user, { email: other.email });
    t.match(await follow(link, token), { status: 200, body: { user: { email: newEmail } } }, 'it works in its own');
    refused(t, await follow(link, token), 410, 'used_token', 'once');
    t.match(await post({ token: other.link, password: other.password }), { status: 200, body: { user: { email: other.newEmail } } });
  });

  await t.test('E09 whoever reads the mail at a mistyped address gets nothing by it', async (t) => {
    const { id, email, newEmail, link, password, token } = await mover();
    const thirdParty = await confirmedPerson(service);
    for (const url of ['/auth/me', '/secret', '/auth/verify', '/auth/sessions']) {
      refused(t, await service.get(url, { token: link }), 401, 'unauthenticated', `${url} with a header`);
      refused(t, await service.get(url, { headers: { cookie: `access=${link}` } }), 401, 'unauthenticated', `${url} with the cookie`);
    }
    refused(t, await service.post('/auth/refresh', { refreshToken: link }), 401, 'invalid_refresh_token');
    refused(t, await service.post('/auth/login', { email: newEmail, password: link }), 401, 'invalid_credentials');
    refused(t, await service.post('/auth/password/reset', { token: link, newPassword: 'the other password' }), 400, 'invalid_token');
    refused(t, await service.get(`/auth/password/reset/${link}`), 400, 'invalid_token');
    refused(t, await service.post('/auth/confirm', { token: link, password: thirdParty.password }), 400, 'invalid_token');
    refused(t, await service.get(`/auth/disown/${link}`), 400, 'invalid_token');
    refused(t, await service.post('/auth/disown', { token: link }), 400, 'invalid_token');
    for (const answer of [
      await follow(link),
      await follow(link, thirdParty.token),
      await post({ token: link, password: thirdParty.password }),
    ]) {
      t.notMatch(answer.text, new RegExp(`${id}|${email}|accessToken`), 'nobody is told whose it is');
      t.notOk(answer.headers['set-cookie']);
    }
    await service.post('/auth/password/forgot', { email: newEmail });
    t.ok(await resetToken(service, { email }));
    t.equal(mailsTo(newEmail).length, 1, 'a forgotten password is no way in, either');

    // The owner notices, and asks again: the mistyped link is dead.
    const right = await emailChangeToken(service, { token, password }, `right.${email}`);
    refused(t, await follow(link, token), 410, 'used_token');
    refused(t, await post({ token: link, password }), 410, 'used_token');
    const answer = await post({ token: right, password });
    t.match(answer, { status: 200, body: { user: { email: `right.${email}` } } });
    t.strictSame(Object.keys(answer.body).sort(), ['status', 'user'], 'and even the right one opens no session');
    t.notOk(answer.headers['set-cookie']);
  });
});
