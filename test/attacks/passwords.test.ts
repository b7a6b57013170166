import { eq } from 'drizzle-orm';
import t from 'tap';
import { users } from '../../src/db/schema.ts';
import { eventually } from '../support/eventually.ts';
import { listening } from '../support/listening.ts';
import { confirmedPerson, emailChangeToken, logIn, openSession, register, resetToken } from '../support/person.ts';
import { refused } from '../support/refusal.ts';
import { recordStatements } from '../support/request-statements.ts';
import { startService } from '../support/service.ts';
import { openTables } from '../support/tables.ts';
import { exchangeOne } from '../support/wire.ts';

const newPassword = 'the other password';

t.test('passwords', async (t) => {
  const service = await listening(await startService(t, { RATE_LIMIT: 'off' }));
  const tables = openTables(t, service);
  const change = (token: string | undefined, body: unknown, method: 'PUT' | 'POST' | 'PATCH' = 'PUT') =>
    service.request(method, '/auth/password', { ...(token !== undefined && { token }), body });
  const mailsTo = (email: string) => service.mailServer.received.filter(({ recipients }) => recipients.includes(email));

  await t.test('P01 a session without the current password changes nothing', async (t) => {
    const person = await confirmedPerson(service);
    const other = await confirmedPerson(service);
    const { token, password } = person;
    for (const body of [
      { newPassword },
      { currentPassword: '', newPassword },
      { currentPassword: null, newPassword },
      { currentPassword: [password], newPassword },
      { currentPassword: { $ne: '' }, newPassword },
      { currentPassword: true, newPassword },
      { currentpassword: password, newPassword },
      { current_password: password, newPassword },
      { password, newPassword },
      { currentPassword: password },
      { currentPassword: password, newPassword, userId: person.id },
      { currentPassword: password, newPassword, newPasswordConfirmation: `${newPassword}x` },
      [{ currentPassword: password, newPassword }],
    ]) {
      refused(t, await change(token, body), 400, 'validation_failed', JSON.stringify(body));
    }
    for (const text of [
      `{"currentPassword":"x","currentPassword":${JSON.stringify(password)},"newPassword":"${newPassword}"}`,
      '',
      'null',
    ]) {
      t.equal((await change(token, text)).status, 400, text);
    }
    const near = [`${password}x`, password.slice(0, -1), ` ${password}`, `${password} `, password.toUpperCase(), `${password}\u0301`];
    for (const currentPassword of [...near, other.password, newPassword, '*', "' or '1'='1", 'x'.repeat(8000)]) {
      const answer = await change(token, { currentPassword, newPassword });
      refused(t, answer, 403, 'wrong_password', currentPassword.slice(0, 30));
      t.notOk(answer.headers['set-cookie']);
    }
    t.equal((await change(token, { currentPassword: `${password}\u0000`, newPassword })).status, 400, 'nothing is cut at a NUL');
    refused(t, await change(undefined, { currentPassword: password, newPassword }), 401, 'unauthenticated', 'without a session');
    refused(t, await change(other.token, { currentPassword: password, newPassword }), 403, 'wrong_password', 'in the session of another');
    for (const method of ['POST', 'PATCH'] as const) {
      refused(t, await change(token, { currentPassword: password, newPassword }, method), 405, 'method_not_allowed', method);
    }
    const elsewhere = await service.request('PATCH', '/auth/me', { token, body: { password: newPassword } });
    refused(t, elsewhere, 400, 'validation_failed', 'among the other things of the account');
    t.ok(await logIn(service, person), 'it is what it was');
    refused(t, await service.post('/auth/login', { email: person.email, password: newPassword }), 401, 'invalid_credentials');
    t.equal((await change(token, { currentPassword: password, newPassword })).status, 204, 'with it, it changes');
    t.ok(await logIn(service, { ...person, password: newPassword }));
    refused(t, await service.post('/auth/login', person, {}), 400, 'validation_failed', 'a login takes no more than it needs');
    refused(t, await service.post('/auth/login', { email: person.email, password }), 401, 'invalid_credentials', 'the old one');
  });

  await t.test('P02 whatever was opened or mailed with the old password is void, and the owner is told', async (t) => {
    const person = await confirmedPerson(service);
    const { token, password, email } = person;
    const current = await openSession(service, person);
    const others = [await openSession(service, person), await openSession(service, person)];
    const cookieLogin = { email, password, transport: 'cookie' };
    t.equal((await service.post('/auth/login', cookieLogin, { headers: { 'sec-fetch-site': 'none' } })).status, 200);
    const reset = await resetToken(service, person);
    const move = await emailChangeToken(service, person, `next.${email}`);
    const before = mailsTo(email).length;
    t.equal((await change(current.accessToken, { currentPassword: password, newPassword })).status, 204);

    for (const { accessToken, refreshToken } of [...others, { accessToken: token, refreshToken: undefined }]) {
      for (const url of ['/secret', '/auth/me', '/auth/verify'])
        refused(t, await service.get(url, { token: accessToken }), 401, 'unauthenticated');
      if (refreshToken !== undefined) refused(t, await service.post('/auth/refresh', { refreshToken }), 401, 'invalid_refresh_token');
    }
    t.equal((await service.get('/secret', { token: current.accessToken })).status, 200, 'the current one goes on');
    const list = (await service.get('/auth/sessions', { token: current.accessToken })).body.sessions;
    t.strictSame(
      list.map((session: { current: boolean }) => session.current),
      [true],
    );
    t.equal((await service.post('/auth/refresh', { refreshToken: current.refreshToken })).status, 200);

    refused(t, await service.post('/auth/password/reset', { token: reset, newPassword: 'a third password' }), 410, 'used_token');
    refused(t, await service.get(`/auth/password/reset/${reset}`), 410, 'used_token');
    refused(t, await service.get(`/auth/email/confirm/${move}`, { token: current.accessToken }), 410, 'used_token');
    refused(t, await service.post('/auth/email/confirm', { token: move, password: newPassword }), 410, 'used_token');
    const { account } = (await service.get('/auth/me/export', { token: current.accessToken })).body;
    t.match(account, { email, pendingEmail: null });

    await eventually('a notice has come', () => mailsTo(email).length > before);
    const notice = mailsTo(email)[before];
    t.strictSame(notice?.recipients, [email]);
    for (const secret of [password, newPassword, current.refreshToken]) t.notOk(`${notice?.text}${notice?.html}`.includes(secret));
    t.notMatch(notice?.text, /\/auth\/(?:password\/reset|email\/confirm|confirm)\/\S/, 'with no link that does anything');
    t.ok(await logIn(service, { ...person, password: newPassword }));
  });

  await t.test('P03 an address is answered for alike, whoever has it, and the same is asked of the database', async (t) => {
    const [confirmed, unconfirmed, disabled] = [await confirmedPerson(service), await register(service), await register(service)];
    const exhausted = await register(service);
    await tables.update(users).set({ disabledAt: service.clock.now() }).where(eq(users.id, disabled.id));
    for (let count = 0; count < 3; count += 1) await resetToken(service, exhausted);
    const mover = await confirmedPerson(service);
    await emailChangeToken(service, mover, `pending.${mover.email}`);
    const addresses = {
      confirmed: confirmed.email,
      unconfirmed: unconfirmed.email,
      disabled: disabled.email,
      'has had its mails': exhausted.email,
      'in capitals': confirmed.email.toUpperCase(),
      'only asked for': `pending.${mover.email}`,
      unknown: 'nobody@example.com',
      'unknown, of an odd domain': 'nobody@bücher.example',
      'unknown, and long': `${'n'.repeat(64)}@${'d'.repeat(60)}.example`,
    };
    const { exchanges } = recordStatements(service);
    const answers = new Map<string, string>();
    const statements = new Map<string, string>();
    // Twice, so that nothing hangs on who comes first.
    for (const [who, email] of [...Object.entries(addresses), ...Object.entries(addresses)]) {
      const body = Buffer.from(JSON.stringify({ email }));
      const head = `POST /auth/password/forgot HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\nContent-Length: ${body.length}\r\nConnection: close\r\n\r\n`;
      const count = exchanges.length;
      const answer = await exchangeOne(service.base, Buffer.concat([Buffer.from(head), body]));
      t.equal(answer.status, 202, who);
      const { date: _, 'x-request-id': __, ...headers } = answer.headers;
      const names = Object.keys(answer.headers);
      answers.set(JSON.stringify([answer.status, names, headers, answer.body]), who);
      await eventually('the answer was noticed', () => exchanges.length > count);
      statements.set(JSON.stringify(exchanges[count]?.statements), who);
    }
    t.equal(answers.size, 1, `byte by byte: ${[...answers]}`);
    t.equal(statements.size, 1, `statement by statement: ${[...statements]}`);
    const [asked = ''] = statements.keys();
    t.equal(JSON.parse(asked).length, 1, 'one of them');
    t.match(asked, /insert into/i, 'which keeps the request');
    t.notMatch(asked, /users|mails/, 'without a look at accounts');
    await service.mailServer.mailTo(unconfirmed.email, 2);
    t.notOk(service.mailServer.received.some(({ recipients }) => recipients.some((each) => /^(?:nobody|n{64})@/.test(each))));
  });

  await t.test('P03 a disabled account and one that never was get no mail, the others do', async (t) => {
    const [known, disabled] = [await register(service), await register(service)];
    await service.mailServer.mailTo(disabled.email);
    await tables.update(users).set({ disabledAt: service.clock.now() }).where(eq(users.id, disabled.id));
    for (const email of [disabled.email, 'nobody.else@example.com', known.email]) {
      t.equal((await service.post('/auth/password/forgot', { email })).status, 202);
    }
    const isAnswered = async () => (await tables.query.resetRequests.findMany()).length === 0;
    await eventually('all requests have been looked at', isAnswered);
    await service.mailServer.mailTo(known.email, 2);
    t.equal(mailsTo(disabled.email).length, 1);
    t.equal(mailsTo('nobody.else@example.com').length, 0);
  });
});
