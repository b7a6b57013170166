import { eq } from 'drizzle-orm';
import t from 'tap';
import { mails } from '../../src/db/schema.ts';
import { eventually } from '../support/eventually.ts';
import { confirmationPath, confirmedPerson, emailChangeToken, logIn, openSession, register, resetToken } from '../support/person.ts';
import { refused } from '../support/refusal.ts';
import { type Service, startInstance, startService } from '../support/service.ts';
import { openTables } from '../support/tables.ts';

const newPassword = 'the other password';

const change = (service: Service, token: string, body: object) => service.request('PUT', '/auth/password', { token, body });

t.test('changing the password', async (t) => {
  const service = await startService(t);
  const tables = openTables(t, service);
  const eventTypes = async (token: string): Promise<string[]> =>
    (await service.get('/auth/events?limit=100', { token })).body.events.map(({ type }: { type: string }) => type);

  t.test('P01: is refused without the current one, or with a wrong one, and changes nothing', async (t) => {
    const person = await confirmedPerson(service);
    const { token, password: currentPassword, email, username } = person;
    const other = await openSession(service, person);
    const refusals: [number, 'malformed_request' | 'validation_failed' | 'wrong_password' | 'weak_password', object][] = [
      [400, 'validation_failed', { newPassword }],
      [400, 'validation_failed', { currentPassword: '', newPassword }],
      [400, 'validation_failed', { currentPassword: [currentPassword], newPassword }],
      [400, 'validation_failed', { currentPassword: null, newPassword }],
      [400, 'validation_failed', { currentPassword, newPassword, id: person.id }],
      [400, 'validation_failed', { currentPassword }],
      [400, 'validation_failed', { currentPassword, newPassword: 'seven77' }],
      [400, 'validation_failed', { currentPassword, newPassword: 'p'.repeat(129) }],
      [400, 'malformed_request', { currentPassword, newPassword: 'nul\u0000 in the middle' }],
      [400, 'validation_failed', { currentPassword, newPassword, newPasswordConfirmation: `${newPassword}x` }],
      [400, 'validation_failed', { currentPassword, newPassword, newPasswordConfirmation: '' }],
      [403, 'wrong_password', { currentPassword: `${currentPassword}x`, newPassword }],
      [403, 'wrong_password', { currentPassword: currentPassword.toUpperCase(), newPassword }],
      [403, 'wrong_password', { currentPassword: 'x'.repeat(5000), newPassword }],
      [400, 'weak_password', { currentPassword, newPassword: 'password1' }],
      [400, 'weak_password', { currentPassword, newPassword: '123456789012345' }],
      [400, 'weak_password', { currentPassword, newPassword: email }],
      [400, 'weak_password', { currentPassword, newPassword: email.toUpperCase() }],
      [400, 'weak_password', { currentPassword, newPassword: `${username}1` }],
      [400, 'weak_password', { currentPassword, newPassword: 'latchkey' }],
    ];
    for (const [status, code, body] of refusals) {
      const answer = await change(service, token, body);
      const what = JSON.stringify(body).slice(0, 100);
      refused(t, answer, status, code, what);
      t.notMatch(answer.text, currentPassword, 'no password is echoed');
      await service.post('/auth/logout', undefined, { token: await logIn(service, person) });
    }
    const mismatch = await change(service, token, { currentPassword, newPassword, newPasswordConfirmation: 'x' });
    t.match(mismatch.body.errors, [{ pointer: '/newPasswordConfirmation' }]);
    t.equal((await service.post('/auth/refresh', { refreshToken: other.refreshToken })).status, 200, 'no session has ended');
    t.equal(await tables.$count(mails, eq(mails.userId, person.id)), 1, 'and nothing was mailed');
    t.equal((await eventTypes(token)).filter((type) => type === 'password_refused').length, 3, 'wrong ones are recorded');
    t.notOk((await eventTypes(token)).includes('password_changed'));
  });

  t.test('is refused without a session, or by another method', async (t) => {
    const { password: currentPassword } = await register(service);
    const answer = await service.request('PUT', '/auth/password', { body: { currentPassword, newPassword } });
    refused(t, answer, 401, 'unauthenticated');
    t.equal(answer.headers['www-authenticate'], 'Bearer');
    refused(t, await service.post('/auth/password', { currentPassword, newPassword }), 405, 'method_not_allowed');
  });

  t.test('P02: ends the other sessions at once, and leaves this one', async (t) => {
    const person = await confirmedPerson(service);
    const [mine, other] = [await openSession(service, person), await openSession(service, person)];
    const { headers, ...answer } = await change(service, mine.accessToken, {
      currentPassword: person.password,
      newPassword,
      newPasswordConfirmation: newPassword,
    });
    t.match(answer, { status: 204, text: '' });
    t.match(headers, { 'cache-control': 'no-store', 'set-cookie': undefined });
    for (const token of [other.accessToken, person.token]) refused(t, await service.get('/secret', { token }), 401, 'unauthenticated');
    refused(t, await service.post('/auth/refresh', { refreshToken: other.refreshToken }), 401, 'invalid_refresh_token');
    t.equal((await service.get('/secret', { token: mine.accessToken })).status, 200, 'this one goes on');
    const { status, body } = await service.post('/auth/refresh', { refreshToken: mine.refreshToken });
    t.equal(status, 200);
    t.equal((await service.get('/secret', { token: body.accessToken })).status, 200);
    const { sessions } = (await service.get('/auth/sessions', { token: body.accessToken })).body;
    t.match(sessions, [{ current: true }]);
    t.equal(sessions.length, 1);
    t.same((await eventTypes(mine.accessToken)).filter((type) => /^(password_changed|sessions_ended)$/.test(type)).sort(), [
      'password_changed',
      'sessions_ended',
    ]);
  });

  t.test('P02: puts the new password in force, and the old one out of it', async (t) => {
    const person = await confirmedPerson(service);
    t.equal((await change(service, person.token, { currentPassword: person.password, newPassword })).status, 204);
    refused(t, await service.post('/auth/login', { email: person.email, password: person.password }), 401, 'invalid_credentials');
    t.equal((await service.post('/auth/login', { email: person.email, password: newPassword })).status, 200);
    t.equal((await service.post('/auth/login', { username: person.username, password: newPassword })).status, 200);
    await eventually('the failed login is recorded', async () => (await eventTypes(person.token)).includes('login_failed'));
    refused(
      t,
      await change(service, person.token, { currentPassword: person.password, newPassword: 'a third one' }),
      403,
      'wrong_password',
    );
  });

  t.test('P02: kills the mailed links for another password and for another address', async (t) => {
    const person = await confirmedPerson(service);
    const reset = await resetToken(service, person);
    const emailChange = await emailChangeToken(service, person, `next.${person.email}`);
    t.equal((await change(service, person.token, { currentPassword: person.password, newPassword })).status, 204);
    refused(t, await service.post('/auth/password/reset', { token: reset, newPassword: 'a third one' }), 410, 'used_token');
    refused(t, await service.get(`/auth/email/confirm/${emailChange}`, { token: person.token }), 410, 'used_token');
    refused(t, await service.post('/auth/email/confirm', { token: emailChange, password: newPassword }), 410, 'used_token', 'posted');
    t.equal((await service.get('/auth/me', { token: person.token })).body.user.email, person.email);
    t.match((await service.get('/auth/me/export', { token: person.token })).body.account, { pendingEmail: null, pendingEmailSince: null });
    t.ok(await logIn(service, { ...person, password: newPassword }));
  });

  t.test('P02: sends a notice to the stored address', async (t) => {
    const details = { email: 'Change.Notice@example.com', username: 'changenotice', password: 'an old password of mine' };
    const person = await register(service, details);
    const token = await logIn(service, person);
    await service.mailServer.mailTo(details.email);
    t.equal((await change(service, token, { currentPassword: details.password, newPassword })).status, 204, 'unconfirmed, too');
    const notice = await service.mailServer.mailTo(details.email, 2);
    t.strictSame(notice.recipients, ['Change.Notice@example.com']);
    t.notMatch(`${notice.text} ${notice.html}`, newPassword);
    t.notMatch(notice.text, /\bhttps?:\/\/\S+[\w-]+\.[\w-]+\.[\w-]+/, 'it holds no token');
    const kinds = await tables.select({ kind: mails.kind }).from(mails).where(eq(mails.userId, person.id));
    t.strictSame(kinds.map(({ kind }) => kind).sort(), ['confirmation', 'password_changed']);
  });

  t.test('leaves the link that confirms the address alive', async (t) => {
    const person = await register(service);
    const token = await logIn(service, person);
    const path = await confirmationPath(service, person);
    t.equal((await change(service, token, { currentPassword: person.password, newPassword })).status, 204);
    refused(t, await service.get('/secret', { token }), 403, 'unconfirmed', 'knowing the password proves no address');
    t.equal((await service.get(path, { token })).status, 200);
    t.equal((await service.get('/secret', { token })).status, 200);
  });

  t.test('refuses as weak what the account is called now, whatever an older access token says', async (t) => {
    const person = await confirmedPerson(service);
    const stale = await logIn(service, person);
    const [username, email] = ['Quite.Another.Name', 'quite.another.address@example.org'];
    const renaming = await service.request('PATCH', '/auth/me', { token: stale, body: { username } });
    t.equal(renaming.status, 200);
    const link = await emailChangeToken(service, { ...person, token: stale }, email);
    t.equal((await service.get(`/auth/email/confirm/${link}`, { token: stale })).status, 200);
    for (const weak of [username, email]) {
      refused(t, await change(service, stale, { currentPassword: person.password, newPassword: weak }), 400, 'weak_password', weak);
    }
  });

  t.test('takes any password that is long enough, and tells long ones apart', async (t) => {
    const person = await register(service);
    const token = await logIn(service, person);
    let currentPassword = person.password;
    for (const next of ['🐈🐕🐎🐖🐓🐇🐁🐍', ' leading and trailing ', `${'a'.repeat(72)}X${'b'.repeat(55)}`]) {
      t.equal((await change(service, token, { currentPassword, newPassword: next })).status, 204, next);
      refused(
        t,
        await service.post('/auth/login', { email: person.email, password: `${next.trim().slice(0, 72)}Y` }),
        401,
        'invalid_credentials',
      );
      t.ok(await logIn(service, { ...person, password: next }));
      currentPassword = next;
    }
  });

  t.test('logs no password', async (t) => {
    t.notOk(service.log.some((line) => line.includes(newPassword)));
  });
});

t.test('PASSWORD_MIN_LENGTH holds for new passwords, and not for the current one', async (t) => {
  const service = await startService(t);
  const person = await register(service, { email: 'short@example.com', username: 'short', password: 'eightlng' });
  await service.mailServer.mailTo(person.email);
  await service.app.close();
  const strict = await startInstance(t, { ...service.env, PASSWORD_MIN_LENGTH: '15' });
  const token = await logIn(strict, person);
  const body = { currentPassword: person.password, newPassword: 'fourteen long!' };
  refused(t, await strict.request('PUT', '/auth/password', { token, body }), 400, 'validation_failed', 'changed');
  const strictService = { ...strict, mailServer: service.mailServer };
  const reset = await resetToken(strictService, person);
  refused(t, await strict.post('/auth/password/reset', { token: reset, newPassword: body.newPassword }), 400, 'validation_failed', 'reset');
  const longer = { ...body, newPassword: 'fifteen is long' };
  t.equal((await strict.request('PUT', '/auth/password', { token, body: longer })).status, 204);
});

t.test('a wrong password that is still being checked while the account is deleted is refused like any other', async (t) => {
  // Hashes take long enough for all to be under way at once.
  const service = await startService(t, { ARGON2_MEMORY_KIB: '19456', RATE_LIMIT: 'off' });
  const { token, password } = await confirmedPerson(service);
  const wrong = { currentPassword: `${password}x`, newPassword };
  const [deletion, ...answers] = await Promise.all([
    service.post('/auth/me/deletion', { password }, { token }),
    ...Array.from({ length: 12 }, () => change(service, token, wrong)),
  ]);
  t.equal(deletion.status, 204);
  for (const { status, text } of answers) t.ok(status === 401 || status === 403, `${status} ${text}`);
});
