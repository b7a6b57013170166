import { eq } from 'drizzle-orm';
import { decodeJwt } from 'jose';
import t from 'tap';
import { users } from '../../src/db/schema.ts';
import { eventually } from '../support/eventually.ts';
import { createFaultyMailServer } from '../support/faulty-mail-server.ts';
import { holdClock, outboxEmpty } from '../support/held-clock.ts';
import { settled } from '../support/outbox.ts';
import { confirmationToken, confirmedPerson, emailChangeToken, logIn, openSession, register, resetToken } from '../support/person.ts';
import { refused } from '../support/refusal.ts';
import { startService } from '../support/service.ts';
import { openTables } from '../support/tables.ts';

const newPassword = 'the other password';

t.test('what does not reset the password', async (t) => {
  const service = await startService(t, { ACCESS_TOKEN_TTL_SECONDS: '86400' });
  const tables = openTables(t, service);
  const reset = (token: unknown, more: object = {}) => service.post('/auth/password/reset', { token, newPassword, ...more });

  t.test('P09: a token that was used', async (t) => {
    const person = await confirmedPerson(service);
    const token = await resetToken(service, person);
    t.equal((await reset(token)).status, 204);
    refused(t, await reset(token), 410, 'used_token', 'the same password');
    refused(t, await reset(token, { newPassword: 'a third password' }), 410, 'used_token', 'another');
    t.ok(await logIn(service, { ...person, password: newPassword }));
  });

  t.test('P09: a token from before the password was changed, even back to what it was', async (t) => {
    const person = await confirmedPerson(service);
    const token = await resetToken(service, person);
    for (const [from, to] of [
      [person.password, newPassword],
      [newPassword, person.password],
    ]) {
      const body = { currentPassword: from, newPassword: to };
      t.equal((await service.request('PUT', '/auth/password', { token: person.token, body })).status, 204);
      refused(t, await reset(token, { newPassword: 'a third password' }), 410, 'used_token');
    }
    t.ok(await logIn(service, person));
  });

  t.test('P09: a token from before the address was changed, even back to what it was', async (t) => {
    const person = await confirmedPerson(service);
    const token = await resetToken(service, person);
    for (const address of [`next.${person.email}`, person.email]) {
      const change = await emailChangeToken(service, person, address);
      t.equal((await service.get(`/auth/email/confirm/${change}`, { token: person.token })).status, 200);
      refused(t, await reset(token), 410, 'used_token', address);
    }
    t.ok(await logIn(service, person));
  });

  t.test('P09: a token whose hour is over, to the second', async (t) => {
    const [early, late] = [await register(service), await register(service)];
    const tokens = { early: await resetToken(service, early), late: await resetToken(service, late) };
    const end = (token: string) => Number(decodeJwt(token).exp) * 1000;
    t.ok(Math.abs(end(tokens.late) - service.clock.now().getTime() - 3600_000) < 30_000, 'it lives for an hour');
    await outboxEmpty(tables);
    holdClock(service.clock, new Date(end(tokens.early) - 1));
    t.equal((await reset(tokens.early)).status, 204, 'a millisecond before');
    await outboxEmpty(tables);
    holdClock(service.clock, new Date(end(tokens.late)));
    refused(t, await reset(tokens.late), 410, 'expired_token');
    t.ok(await logIn(service, late));
    t.equal((await reset(await resetToken(service, late))).status, 204, 'another mail helps');
  });

  t.test('P13: steps out of order: a token that nobody was sent, or one for something else', async (t) => {
    const person = await confirmedPerson(service);
    const { accessToken, refreshToken } = await openSession(service, person);
    const change = await emailChangeToken(service, person, `next.${person.email}`);
    for (const token of [accessToken, refreshToken, change, await confirmationToken(service, person), 'x', 'a.b.c', person.id]) {
      refused(t, await reset(token), 400, 'invalid_token', token.slice(0, 20));
    }
    for (const token of ['', undefined, null, [change], 1, 'a'.repeat(3000)]) {
      refused(t, await reset(token), 400, 'validation_failed', String(token).slice(0, 20));
    }
    refused(t, await service.post('/auth/password/reset', { newPassword, email: person.email }), 400, 'validation_failed', 'an address');
    refused(t, await service.post('/auth/password/reset', { newPassword }, { token: accessToken }), 400, 'validation_failed', 'a session');
    t.ok(await logIn(service, person));
  });

  t.test('P13: a token that was tampered with', async (t) => {
    const [victim, attacker] = [await confirmedPerson(service), await register(service)];
    const [header = '', payload = '', signature = ''] = (await resetToken(service, attacker)).split('.');
    const claims = JSON.parse(Buffer.from(payload, 'base64url').toString());
    const part = (value: object) => Buffer.from(JSON.stringify(value)).toString('base64url');
    for (const token of [
      [header, part({ ...claims, sub: victim.id }), signature],
      [header, part({ ...claims, exp: claims.exp + 3600 }), signature],
      [part({ alg: 'none', typ: 'password-reset+jwt' }), part({ ...claims, sub: victim.id }), ''],
      [header, payload, ''],
      [header, payload],
    ]) {
      refused(t, await reset(token.join('.')), 400, 'invalid_token');
    }
    t.ok(await logIn(service, victim));
    t.ok(await logIn(service, attacker));
  });

  t.test('a new password that is refused, which does not spend the token', async (t) => {
    const person = await confirmedPerson(service);
    const token = await resetToken(service, person);
    for (const weak of ['password1', 'qwertyuiop', person.email, person.email.toUpperCase(), `${person.username}!`, 'latchkey']) {
      refused(t, await reset(token, { newPassword: weak }), 400, 'weak_password', weak);
    }
    for (const body of [
      { newPassword: 'seven77' },
      { newPassword: 'p'.repeat(129) },
      { newPassword: undefined },
      { newPassword: [newPassword] },
      { newPasswordConfirmation: `${newPassword}x` },
      { newPasswordConfirmation: '' },
      { password: newPassword },
    ]) {
      refused(t, await reset(token, body), 400, 'validation_failed', JSON.stringify(body).slice(0, 40));
    }
    t.equal((await service.get('/secret', { token: person.token })).status, 200, 'no session has ended');
    t.ok(await logIn(service, person), 'nothing has changed');
    t.equal((await reset(token)).status, 204, 'the token still works');
  });

  t.test('GET and HEAD of the link, which scanners do', async (t) => {
    const person = await confirmedPerson(service);
    const token = await resetToken(service, person);
    for (const method of ['GET', 'HEAD', 'OPTIONS'] as const) {
      for (const headers of [{}, { accept: 'text/html' }, { 'sec-purpose': 'prefetch' }]) {
        const answer = await service.request(method, `/auth/password/reset/${token}`, { headers });
        t.notOk(answer.headers['set-cookie']);
      }
    }
    t.ok(await logIn(service, person));
    t.equal((await reset(token)).status, 204);
  });

  t.test('the token of a disabled account, or of one that is gone', async (t) => {
    const [disabled, gone] = [await register(service), await register(service)];
    const tokens = [await resetToken(service, disabled), await resetToken(service, gone)];
    await tables.update(users).set({ disabledAt: service.clock.now() }).where(eq(users.id, disabled.id));
    // A worker that settles a mail and somebody who deletes its user could wait for each other.
    await outboxEmpty(tables);
    await tables.delete(users).where(eq(users.id, gone.id));
    refused(t, await reset(tokens[0]), 410, 'used_token');
    refused(t, await reset(tokens[1]), 400, 'invalid_token');
    const { email, username, password } = gone;
    await register(service, { email, username, password });
    refused(t, await reset(tokens[1]), 400, 'invalid_token', 'not for a new account with the same names, either');
    refused(t, await service.post('/auth/login', { email: disabled.email, password: newPassword }), 401, 'invalid_credentials');
  });
});

t.test('a mail that still waits when its link has become void is not sent', async (t) => {
  const mailServer = await createFaultyMailServer(t);
  const service = await startService(t, { SMTP_URL: mailServer.url });
  const tables = openTables(t, service);
  const [changing, disabled, waiting] = [await register(service), await register(service), await register(service)];
  await eventually('the queue is held', async () => (await service.get('/health/ready')).body.mail === 'unreachable');
  const token = await logIn(service, changing);
  for (const { email } of [changing, disabled, waiting]) await service.post('/auth/password/forgot', { email });
  const isQueued = async () => (await tables.query.mails.findMany()).filter(({ kind }) => kind === 'password_reset').length === 3;
  await eventually('the mails wait', isQueued);
  const body = { currentPassword: changing.password, newPassword };
  t.equal((await service.request('PUT', '/auth/password', { token, body })).status, 204);
  await tables.update(users).set({ disabledAt: service.clock.now() }).where(eq(users.id, disabled.id));
  await mailServer.start();
  await settled(tables, waiting.email, 'sent');
  await outboxEmpty(tables);
  const rows = (await tables.query.mails.findMany()).filter(({ kind }) => kind !== 'confirmation');
  t.strictSame(rows.map(({ recipient, kind, status }) => `${recipient} ${kind} ${status}`).sort(), [
    `${changing.email} password_changed sent`,
    `${changing.email} password_reset dropped`,
    `${disabled.email} password_reset dropped`,
    `${waiting.email} password_reset sent`,
  ]);
  const linked = mailServer.taken.filter(({ text }) => text?.includes('/auth/password/reset/'));
  t.strictSame(
    linked.map(({ recipients }) => recipients),
    [[waiting.email]],
  );
});
