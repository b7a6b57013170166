import { eq } from 'drizzle-orm';
import { decodeJwt } from 'jose';
import t from 'tap';
import { events, mails, users } from '../../src/db/schema.ts';
import { cookieHeader, setCookies } from '../support/cookies.ts';
import { eventually } from '../support/eventually.ts';
import { outboxEmpty } from '../support/held-clock.ts';
import { confirmationToken, confirmedPerson, emailChangeToken, logIn, openSession, register, resetToken } from '../support/person.ts';
import { refused } from '../support/refusal.ts';
import { startService } from '../support/service.ts';
import { openTables } from '../support/tables.ts';

t.test('confirming another address', async (t) => {
  const service = await startService(t);
  const tables = openTables(t, service);
  const follow = (mailed: string, token?: string) => service.get(`/auth/email/confirm/${mailed}`, token === undefined ? {} : { token });
  const post = (body: object, token?: string) => service.post('/auth/email/confirm', body, token === undefined ? {} : { token });

  /** Somebody who has asked for another address, and has the link. */
  async function mover() {
    const person = await confirmedPerson(service);
    const newEmail = `Next.${person.email}`;
    return { ...person, newEmail, mailed: await emailChangeToken(service, person, newEmail) };
  }

  t.test('gives the account of the session its new address, which rules from now on', async (t) => {
    const { id, token, email, newEmail, mailed, password, username } = await mover();
    const session = await openSession(service, { email, password });
    const answer = await follow(mailed, token);
    t.equal(answer.status, 200);
    t.match(answer.headers, { 'content-type': /^application\/json/, 'cache-control': 'no-store', 'set-cookie': undefined });
    t.strictSame(Object.keys(answer.body).sort(), ['status', 'user']);
    t.match(answer.body, { status: 'confirmed', user: { id, username, email: newEmail, confirmed: true } });
    t.match((await service.get('/auth/me', { token })).body.user, { email: newEmail, confirmed: true });
    refused(t, await service.post('/auth/login', { email, password }), 401, 'invalid_credentials', 'the old address');
    for (const typed of [newEmail, newEmail.toLowerCase()]) {
      t.match(decodeJwt(await logIn(service, { email: typed, password })), { email: newEmail, confirmed: true });
    }
    const { body } = await service.post('/auth/refresh', { refreshToken: session.refreshToken });
    t.match(decodeJwt(body.accessToken), { email: newEmail, confirmed: true }, 'a session from before tells the new one at its refresh');
    t.match((await service.get('/auth/me/export', { token })).body.account, {
      email: newEmail,
      pendingEmail: null,
      pendingEmailSince: null,
    });
    t.ok(await register(service, { email, username: `again.${username}`, password }), 'the old address is free');
  });

  t.test('E05: sends a second notice to the old address, and sends mail to the new one afterwards', async (t) => {
    const { id, token, email, newEmail, mailed } = await mover();
    t.equal((await follow(mailed, token)).status, 200);
    const notice = await service.mailServer.mailTo(email, 3);
    t.strictSame(notice.recipients, [email]);
    t.notMatch(`${notice.text} ${notice.html}`, newEmail, 'whoever reads the old mailbox need not know the new one');
    t.ok(await resetToken(service, { email: newEmail }));
    await outboxEmpty(tables);
    const rows = await tables.select().from(mails).where(eq(mails.userId, id));
    t.strictSame(rows.map(({ kind, recipient, status }) => `${kind} ${recipient} ${status}`).sort(), [
      `confirmation ${email} sent`,
      `email_change ${newEmail} sent`,
      `email_change_requested ${email} sent`,
      `email_changed ${email} sent`,
      `password_reset ${newEmail} sent`,
    ]);
    const types = (await tables.select().from(events).where(eq(events.userId, id))).map(({ type }) => type);
    t.equal(types.filter((type) => type === 'email_changed').length, 1);
    t.equal(types.filter((type) => type === 'confirmed').length, 1, 'the account was confirmed before');
  });

  t.test('works within the session for a client that posts the token', async (t) => {
    const { token, newEmail, mailed } = await mover();
    t.match(await post({ token: mailed }, token), { status: 200, body: { status: 'confirmed', user: { email: newEmail } } });
  });

  t.test('works with the password on another device, and not with a wrong one', async (t) => {
    const { id, token, newEmail, mailed, password } = await mover();
    refused(t, await post({ token: mailed, password: `${password}x` }), 401, 'invalid_credentials');
    refused(t, await post({ token: mailed, password: `${password}x` }, token), 401, 'invalid_credentials', 'even within the session');
    refused(t, await post({ token: mailed, password: '' }), 400, 'validation_failed');
    await eventually('the failures are recorded', async () => {
      const rows = await tables.select().from(events).where(eq(events.userId, id));
      return rows.filter(({ type }) => type === 'login_failed').length === 2;
    });
    const answer = await post({ token: mailed, password });
    t.match(answer, { status: 200, body: { status: 'confirmed', user: { email: newEmail } } });
    t.strictSame(Object.keys(answer.body).sort(), ['status', 'user'], 'no session is opened');
    t.notOk(answer.headers['set-cookie']);
  });

  t.test('E08, E09: does nothing without a session or in that of another account', async (t) => {
    const { id, token, email, newEmail, mailed } = await mover();
    const other = await confirmedPerson(service);
    const anonymous = await follow(mailed);
    refused(t, anonymous, 401, 'unauthenticated');
    t.equal(anonymous.headers['www-authenticate'], 'Bearer');
    refused(t, await post({ token: mailed }), 401, 'unauthenticated', 'posted');
    refused(t, await follow(mailed, mailed), 401, 'unauthenticated', 'the token is no session');
    refused(t, await service.get('/auth/me', { token: mailed }), 401, 'unauthenticated', 'nowhere');
    refused(t, await follow(mailed, other.token), 403, 'wrong_account');
    refused(t, await post({ token: mailed }, other.token), 403, 'wrong_account', 'posted');
    refused(t, await post({ token: mailed, password: other.password }), 401, 'invalid_credentials', "another's password");
    for (const session of [token, other.token]) {
      t.match((await service.get('/auth/me', { token: session })).body.user, session === token ? { id, email } : { email: other.email });
    }
    t.equal((await follow(mailed, token)).body.user.email, newEmail, 'it works for its owner');
  });

  t.test('HEAD, OPTIONS, prefetches and scanners change nothing', async (t) => {
    const { token, email, mailed } = await mover();
    const path = `/auth/email/confirm/${mailed}`;
    for (const method of ['HEAD', 'OPTIONS', 'PUT', 'DELETE'] as const) {
      t.equal((await service.request(method, path, { token })).status, 405, `${method}, even within the session`);
    }
    const visits: Record<string, string>[] = [{ 'sec-purpose': 'prefetch' }, { purpose: 'prefetch' }, { accept: 'text/html,*/*' }];
    for (const headers of visits) {
      const answer = await service.get(path, { headers: { ...headers, 'user-agent': 'SafeLinks' } });
      if (headers['accept'] === undefined) t.equal(answer.status, 401);
      t.notOk(answer.headers['set-cookie']);
    }
    t.equal((await service.get('/auth/me', { token })).body.user.email, email);
    t.equal((await follow(mailed, token)).status, 200);
  });

  t.test('confirms an account that was not confirmed, whose older links are dead (C09)', async (t) => {
    const person = await register(service);
    const token = await logIn(service, person);
    const older = await confirmationToken(service, person);
    const newEmail = `next.${person.email}`;
    const mailed = await emailChangeToken(service, { ...person, token }, newEmail);
    const reset = await resetToken(service, person);
    t.match((await follow(mailed, token)).body, { status: 'confirmed', user: { email: newEmail, confirmed: true } });
    t.equal((await service.get('/secret', { token })).status, 200, 'in the session from before');
    refused(t, await service.get(`/auth/confirm/${older}`, { token }), 400, 'invalid_token');
    refused(t, await service.post('/auth/confirm', { token: older, password: person.password }), 400, 'invalid_token', 'posted');
    refused(t, await service.post('/auth/password/reset', { token: reset, newPassword: 'the other password' }), 410, 'used_token');
    t.match((await service.get('/auth/me', { token })).body.user, { email: newEmail, confirmed: true });
    const types = (await tables.select().from(events).where(eq(events.userId, person.id))).map(({ type }) => type);
    t.strictSame(types.filter((type) => type === 'confirmed' || type === 'email_changed').sort(), ['confirmed', 'email_changed']);
  });

  t.test('E04: is refused when the address went to somebody else meanwhile, and works once it is free', async (t) => {
    const { id, token, email, newEmail, mailed, password } = await mover();
    const squatter = await register(service, { email: newEmail.toUpperCase(), username: `squat.${id.slice(-6)}`, password });
    refused(t, await follow(mailed, token), 409, 'email_taken');
    refused(t, await post({ token: mailed, password }), 409, 'email_taken', 'posted');
    t.match((await service.get('/auth/me', { token })).body.user, { email, confirmed: true });
    t.ok(await logIn(service, squatter));
    // A worker that settles a mail and somebody who deletes its user could wait for each other.
    await outboxEmpty(tables);
    await tables.delete(users).where(eq(users.id, squatter.id));
    t.match((await follow(mailed, token)).body, { status: 'confirmed', user: { email: newEmail } });
  });

  t.test('takes an internationalised domain as A-labels', async (t) => {
    const person = await confirmedPerson(service);
    const typed = `${person.username}@Bücher.example`;
    const answer = await service.post('/auth/email', { newEmail: typed, password: person.password }, { token: person.token });
    t.match(answer, { status: 202, body: { pendingEmail: `${person.username}@xn--bcher-kva.example` } });
    // The mail server tells the envelope in U-labels.
    const mail = await service.mailServer.mailTo(`${person.username}@bücher.example`);
    const [, mailed = ''] = /\/auth\/email\/confirm\/(\S+)/.exec(mail.text ?? '') ?? [];
    t.match((await follow(mailed, person.token)).body.user, { email: `${person.username}@xn--bcher-kva.example` });
    t.ok(await logIn(service, { email: `${person.username}@bücher.example`, password: person.password }));
    t.ok(await logIn(service, { email: `${person.username}@XN--BCHER-KVA.example`, password: person.password }));
  });

  t.test('follows a link from a web mailer with the cookie of the session, and takes no form from elsewhere', async (t) => {
    const { email, newEmail, mailed, password } = await mover();
    const sameOrigin = { 'sec-fetch-site': 'same-origin' };
    const login = await service.post('/auth/login', { email, password, transport: 'cookie' }, { headers: sameOrigin });
    const cookie = cookieHeader(setCookies(login));
    const elsewhere = { cookie, 'sec-fetch-site': 'cross-site', origin: 'https://evil.example' };
    const posted = await service.post('/auth/email/confirm', { token: mailed }, { headers: elsewhere });
    refused(t, posted, 403, 'cross_origin_rejected');
    const asked = await service.post('/auth/email', { newEmail: `evil.${email}`, password }, { headers: elsewhere });
    refused(t, asked, 403, 'cross_origin_rejected', 'a request for an address');
    const body = { currentPassword: password, newPassword: 'the other password' };
    const changed = await service.request('PUT', '/auth/password', { headers: elsewhere, body });
    refused(t, changed, 403, 'cross_origin_rejected', 'a change of the password');
    const answer = await service.get(`/auth/email/confirm/${mailed}`, { headers: { cookie, 'sec-fetch-site': 'cross-site' } });
    t.match(answer, { status: 200, body: { user: { email: newEmail } } });
  });

  t.test('logs no token', async (t) => {
    const { token, mailed } = await mover();
    await follow(mailed, token);
    t.ok(service.log.some((line) => line.includes('/auth/email/confirm/:token')));
    t.notOk(service.log.some((line) => line.includes(mailed)));
  });
});
