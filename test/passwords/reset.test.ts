import { eq } from 'drizzle-orm';
import t from 'tap';
import { events, mails, users } from '../../src/db/schema.ts';
import { cookieHeader, setCookies } from '../support/cookies.ts';
import { outboxEmpty } from '../support/held-clock.ts';
import {
  confirmationToken,
  confirmedPerson,
  emailChangeToken,
  logIn,
  openSession,
  type Person,
  register,
  resetToken,
} from '../support/person.ts';
import { refused } from '../support/refusal.ts';
import { startService } from '../support/service.ts';
import { openTables } from '../support/tables.ts';
import { allAtOnce, tally } from '../support/two-instances.ts';

const newPassword = 'the other password';

t.test('resetting the password', async (t) => {
  const service = await startService(t);
  const tables = openTables(t, service);
  const reset = (token: string, password = newPassword, more: object = {}, headers: Record<string, string> = {}) =>
    service.post('/auth/password/reset', { token, newPassword: password, ...more }, { headers });
  const eventTypes = async ({ id }: Pick<Person, 'id'>) =>
    (await tables.select().from(events).where(eq(events.userId, id)).orderBy(events.id)).map(({ type }) => type);

  t.test('P10: puts the new password in force, opens no session, and ends all there are', async (t) => {
    const person = await confirmedPerson(service);
    const other = await openSession(service, person);
    const token = await resetToken(service, person);
    const answer = await reset(token, newPassword, { newPasswordConfirmation: newPassword });
    t.match(answer, { status: 204, text: '' });
    t.match(answer.headers, { 'cache-control': 'no-store', 'set-cookie': undefined, 'referrer-policy': 'no-referrer' });
    for (const session of [person.token, other.accessToken]) {
      refused(t, await service.get('/secret', { token: session }), 401, 'unauthenticated');
    }
    refused(t, await service.post('/auth/refresh', { refreshToken: other.refreshToken }), 401, 'invalid_refresh_token');
    refused(t, await service.post('/auth/login', { email: person.email, password: person.password }), 401, 'invalid_credentials');
    const session = await logIn(service, { ...person, password: newPassword });
    t.equal((await service.get('/secret', { token: session })).status, 200);
    t.equal((await service.get('/auth/sessions', { token: session })).body.sessions.length, 1);
    const since = (await eventTypes(person)).filter((type) => /^(password|sessions|confirmed)/.test(type) && !type.includes('_mail_'));
    t.strictSame(since, ['confirmed', 'password_reset_requested', 'password_reset', 'sessions_ended']);
  });

  t.test('P10: mails a notice to the stored address', async (t) => {
    const person = await confirmedPerson(service);
    await reset(await resetToken(service, person));
    const notice = await service.mailServer.mailTo(person.email, 3);
    t.strictSame(notice.recipients, [person.email]);
    t.notMatch(`${notice.text} ${notice.html}`, newPassword);
    await outboxEmpty(tables);
    const rows = await tables.select().from(mails).where(eq(mails.userId, person.id)).orderBy(mails.id);
    t.match(
      rows.map(({ kind, status }) => [kind, status]),
      [
        ['confirmation', 'sent'],
        ['password_reset', 'sent'],
        ['password_changed', 'sent'],
      ],
    );
  });

  t.test('P10: voids a pending change of the address', async (t) => {
    const person = await confirmedPerson(service);
    const next = `next.${person.email}`;
    const change = await emailChangeToken(service, person, next);
    t.equal((await reset(await resetToken(service, person))).status, 204);
    const token = await logIn(service, { ...person, password: newPassword });
    refused(t, await service.get(`/auth/email/confirm/${change}`, { token }), 410, 'used_token');
    refused(t, await service.post('/auth/email/confirm', { token: change, password: newPassword }), 410, 'used_token', 'posted');
    t.match((await service.get('/auth/me', { token })).body.user, { email: person.email, confirmed: true });
    t.match((await service.get('/auth/me/export', { token })).body.account, { pendingEmail: null, pendingEmailSince: null });
  });

  t.test('P10: ends cookie sessions, sets no cookie, and does not ask for the one that is there', async (t) => {
    const person = await confirmedPerson(service);
    const headers = { origin: 'http://localhost:3000', 'sec-fetch-site': 'same-origin' };
    const login = await service.post('/auth/login', { email: person.email, password: person.password, transport: 'cookie' }, { headers });
    t.equal(login.status, 200);
    const cookie = cookieHeader(setCookies(login));
    t.equal((await service.get('/secret', { headers: { cookie } })).status, 200);
    const answer = await reset(await resetToken(service, person), newPassword, {}, { cookie, 'sec-fetch-site': 'cross-site' });
    t.equal(answer.status, 204);
    t.notOk(answer.headers['set-cookie']);
    refused(t, await service.get('/secret', { headers: { cookie } }), 401, 'unauthenticated');
  });

  t.test('P11, R16: takes an account back from whoever registered it with the address of somebody else', async (t) => {
    const attacker = await register(service);
    const mailed = await confirmationToken(service, attacker);
    const held = await openSession(service, attacker);
    const change = await emailChangeToken(service, { ...attacker, token: held.accessToken }, `attacker.${attacker.email}`);
    t.equal((await reset(await resetToken(service, attacker))).status, 204);

    refused(t, await service.post('/auth/login', { email: attacker.email, password: attacker.password }), 401, 'invalid_credentials');
    refused(t, await service.post('/auth/login', { username: attacker.username, password: attacker.password }), 401, 'invalid_credentials');
    for (const path of ['/secret', '/auth/me', '/auth/events']) {
      refused(t, await service.get(path, { token: held.accessToken }), 401, 'unauthenticated', path);
    }
    refused(t, await service.post('/auth/refresh', { refreshToken: held.refreshToken }), 401, 'invalid_refresh_token');
    refused(t, await service.get(`/auth/email/confirm/${change}`, { token: held.accessToken }), 410, 'used_token');
    refused(t, await service.post('/auth/email/confirm', { token: change, password: attacker.password }), 410, 'used_token', 'posted');

    const token = await logIn(service, { ...attacker, password: newPassword });
    t.match((await service.get('/auth/me', { token })).body.user, { id: attacker.id, email: attacker.email, confirmed: true });
    t.equal((await service.get('/secret', { token })).status, 200);
    t.same((await eventTypes(attacker)).filter((type) => type === 'confirmed').length, 1);
    t.match(await service.get(`/auth/confirm/${mailed}`, { token }), { status: 200, body: { status: 'already_confirmed' } });
  });

  t.test('does not confirm again what was confirmed', async (t) => {
    const person = await confirmedPerson(service);
    const since = async () => (await tables.select().from(users).where(eq(users.id, person.id)))[0]?.confirmedAt;
    const before = await since();
    service.clock.advance({ seconds: 5 });
    t.equal((await reset(await resetToken(service, person))).status, 204);
    t.strictSame(await since(), before);
  });

  t.test('P08: of 20 parallel uses with different passwords one wins', async (t) => {
    const person = await confirmedPerson(service);
    const token = await resetToken(service, person);
    const passwords = Array.from({ length: 20 }, (_, index) => `candidate number ${index}`);
    const answers = await allAtOnce(20, [service], (_, index) => reset(token, passwords[index]));
    t.strictSame(tally(answers), { 204: 1, 410: 19 });
    for (const answer of answers.filter(({ status }) => status === 410)) refused(t, answer, 410, 'used_token');
    const winner = answers.findIndex(({ status }) => status === 204);
    for (const [index, password] of [...passwords, person.password].entries()) {
      const { status } = await service.post('/auth/login', { email: person.email, password });
      t.equal(status, index === winner ? 200 : 401, password);
    }
    await outboxEmpty(tables);
    t.equal(service.mailServer.received.filter(({ recipients }) => recipients.includes(person.email)).length, 3, 'one notice');
    t.equal((await eventTypes(person)).filter((type) => type === 'password_reset').length, 1);
  });

  t.test('works for two accounts without touching each other', async (t) => {
    const [first, second] = [await confirmedPerson(service), await confirmedPerson(service)];
    const token = await resetToken(service, first);
    t.equal((await reset(token)).status, 204);
    t.equal((await service.get('/secret', { token: second.token })).status, 200);
    t.ok(await logIn(service, second));
  });

  t.test('logs neither token nor password', async (t) => {
    const person = await register(service);
    const token = await resetToken(service, person);
    await reset(token, 'unloggable word');
    await service.get(`/auth/password/reset/${token}`);
    t.ok(service.log.some((line) => line.includes('/auth/password/reset')));
    t.notOk(service.log.some((line) => line.includes(token) || line.includes('unloggable')));
  });
});
