import { eq } from 'drizzle-orm';
import { decodeJwt } from 'jose';
import t from 'tap';
import { users } from '../../src/db/schema.ts';
import { eventually } from '../support/eventually.ts';
import { createFaultyMailServer } from '../support/faulty-mail-server.ts';
import { holdClock, outboxEmpty } from '../support/held-clock.ts';
import { confirmationToken, confirmedPerson, emailChangeToken, logIn, openSession, register, resetToken } from '../support/person.ts';
import { refused } from '../support/refusal.ts';
import { startService } from '../support/service.ts';
import { openTables } from '../support/tables.ts';
import { allAtOnce, tally } from '../support/two-instances.ts';

t.test('a link that gives an account another address', async (t) => {
  const service = await startService(t, { ACCESS_TOKEN_TTL_SECONDS: '86400' });
  const tables = openTables(t, service);
  const { clock } = service;
  const follow = (mailed: string, token: string) => service.get(`/auth/email/confirm/${mailed}`, { token });
  const emailOf = async (token: string) => (await service.get('/auth/me', { token })).body.user.email;

  t.test('works once', async (t) => {
    const person = await confirmedPerson(service);
    const mailed = await emailChangeToken(service, person, `next.${person.email}`);
    t.equal((await follow(mailed, person.token)).status, 200);
    refused(t, await follow(mailed, person.token), 410, 'used_token');
    refused(t, await service.post('/auth/email/confirm', { token: mailed, password: person.password }), 410, 'used_token', 'posted');
    refused(t, await service.get(`/auth/email/confirm/${mailed}`), 410, 'used_token', 'without a session');
  });

  t.test('of 20 parallel uses one wins', async (t) => {
    const { token, password, email } = await confirmedPerson(service);
    const mailed = await emailChangeToken(service, { token, password }, `next.${email}`);
    const answers = await allAtOnce(20, [service], (_, index) =>
      index % 2 === 0 ? follow(mailed, token) : service.post('/auth/email/confirm', { token: mailed, password }),
    );
    t.strictSame(tally(answers), { 200: 1, 410: 19 });
    t.equal(await emailOf(token), `next.${email}`);
  });

  t.test('dies with a newer request, for another address or the same', async (t) => {
    const person = await confirmedPerson(service);
    const addresses = ['first', 'second', 'first'].map((name) => `${name}.${person.email}`);
    const tokens: string[] = [];
    for (const address of addresses) {
      holdClock(clock, new Date(clock.now().getTime() + 1000));
      tokens.push(await emailChangeToken(service, person, address));
    }
    const newest = tokens.pop() ?? '';
    for (const older of tokens) refused(t, await follow(older, person.token), 410, 'used_token');
    t.equal(await emailOf(person.token), person.email);
    t.equal((await follow(newest, person.token)).body.user.email, addresses[0]);
    for (const older of tokens) refused(t, await follow(older, person.token), 410, 'used_token', 'afterwards, too');
  });

  t.test('survives a newer request that was refused', async (t) => {
    const [person, other] = [await confirmedPerson(service), await register(service)];
    const mailed = await emailChangeToken(service, person, `next.${person.email}`);
    const ask = (newEmail: string, password: string) => service.post('/auth/email', { newEmail, password }, { token: person.token });
    refused(t, await ask(other.email, person.password), 409, 'email_taken');
    refused(t, await ask(`other.${person.email}`, 'wrong'), 403, 'wrong_password');
    refused(t, await ask('x', person.password), 400, 'validation_failed');
    t.equal((await follow(mailed, person.token)).status, 200);
  });

  t.test('does not come alive again when the account goes there and back', async (t) => {
    const person = await confirmedPerson(service);
    const [home, away] = [person.email, `away.${person.email}`];
    const tokens: string[] = [];
    for (const address of [away, home, away, home]) {
      const mailed = await emailChangeToken(service, person, address);
      for (const older of tokens) refused(t, await follow(older, person.token), 410, 'used_token', `on the way to ${address}`);
      t.equal((await follow(mailed, person.token)).status, 200);
      tokens.push(mailed);
      for (const older of tokens) refused(t, await follow(older, person.token), 410, 'used_token', `once at ${address}`);
    }
    t.equal(await emailOf(person.token), home);
  });

  t.test('dies when the password is changed or reset, and stays dead under a new request', async (t) => {
    const person = await confirmedPerson(service);
    const newEmail = `next.${person.email}`;
    const older = await emailChangeToken(service, person, newEmail);
    const body = { currentPassword: person.password, newPassword: 'the other password' };
    t.equal((await service.request('PUT', '/auth/password', { token: person.token, body })).status, 204);
    refused(t, await follow(older, person.token), 410, 'used_token');
    const newer = await emailChangeToken(service, { ...person, password: body.newPassword }, newEmail);
    refused(t, await follow(older, person.token), 410, 'used_token', 'the same address, asked for again');
    const reset = await resetToken(service, person);
    t.equal((await service.post('/auth/password/reset', { token: reset, newPassword: 'a third password' })).status, 204);
    const token = await logIn(service, { ...person, password: 'a third password' });
    refused(t, await follow(newer, token), 410, 'used_token');
    t.equal(await emailOf(token), person.email);
  });

  t.test('works until the last millisecond of its hour, and then no more', async (t) => {
    const [early, late] = [await confirmedPerson(service), await confirmedPerson(service)];
    const [first, second] = [
      await emailChangeToken(service, early, `next.${early.email}`),
      await emailChangeToken(service, late, `next.${late.email}`),
    ];
    const end = (token: string) => Number(decodeJwt(token).exp) * 1000;
    t.ok(Math.abs(end(first) - clock.now().getTime() - 3600_000) < 30_000, 'it lives for an hour');
    await outboxEmpty(tables);
    holdClock(clock, new Date(end(first) - 1));
    t.equal((await follow(first, early.token)).status, 200);
    await outboxEmpty(tables);
    holdClock(clock, new Date(end(second)));
    refused(t, await follow(second, late.token), 410, 'expired_token');
    refused(t, await service.post('/auth/email/confirm', { token: second, password: late.password }), 410, 'expired_token', 'posted');
    t.equal(await emailOf(late.token), late.email);
    const fresh = await emailChangeToken(service, late, `next.${late.email}`);
    t.equal((await follow(fresh, late.token)).status, 200, 'another request helps');
  });

  t.test('is none that was not mailed for this', async (t) => {
    const person = await confirmedPerson(service);
    const { accessToken, refreshToken } = await openSession(service, person);
    const reset = await resetToken(service, person);
    const [header = '', payload = '', signature = ''] = (await emailChangeToken(service, person, `next.${person.email}`)).split('.');
    const claims = JSON.parse(Buffer.from(payload, 'base64url').toString());
    const other = await register(service);
    const altered = Buffer.from(JSON.stringify({ ...claims, sub: other.id })).toString('base64url');
    const forged = [`${header}.${altered}.${signature}`, `${header}.${payload}.`, `${header}.${payload}`, 'x', 'a..b', 'a'.repeat(3000)];
    for (const token of [accessToken, refreshToken, reset, await confirmationToken(service, person), ...forged]) {
      refused(t, await follow(token, person.token), 400, 'invalid_token', token.slice(0, 20));
      if (token.length > 2048) continue;
      refused(t, await service.post('/auth/email/confirm', { token, password: person.password }), 400, 'invalid_token', 'posted');
    }
    for (const body of [
      {},
      { token: '' },
      { token: [reset] },
      { token: null },
      { token: 'a'.repeat(3000) },
      { token: 'x', newEmail: 'a@b.cc' },
    ]) {
      refused(t, await service.post('/auth/email/confirm', body, { token: person.token }), 400, 'validation_failed');
    }
    t.equal(await emailOf(person.token), person.email);
  });

  t.test('does nothing for a disabled account, or for one that is gone', async (t) => {
    const [disabled, gone, passerBy] = [await confirmedPerson(service), await confirmedPerson(service), await confirmedPerson(service)];
    const tokens = [
      await emailChangeToken(service, disabled, `next.${disabled.email}`),
      await emailChangeToken(service, gone, `next.${gone.email}`),
    ] as const;
    await tables.update(users).set({ disabledAt: clock.now() }).where(eq(users.id, disabled.id));
    // A worker that settles a mail and somebody who deletes its user could wait for each other.
    await outboxEmpty(tables);
    await tables.delete(users).where(eq(users.id, gone.id));
    for (const [index, { password, token }] of [disabled, gone].entries()) {
      const mailed = tokens[index] ?? '';
      for (const answer of [
        await follow(mailed, token),
        await follow(mailed, passerBy.token),
        await service.post('/auth/email/confirm', { token: mailed, password }),
      ]) {
        refused(t, answer, index === 0 ? 410 : 400, index === 0 ? 'used_token' : 'invalid_token');
      }
    }
    const [row] = await tables.select().from(users).where(eq(users.id, disabled.id));
    t.equal(row?.email, disabled.email);
  });
});

t.test('a mail to a new address that still waits when the request is void is not sent', async (t) => {
  const mailServer = await createFaultyMailServer(t);
  const service = await startService(t, { SMTP_URL: mailServer.url });
  const tables = openTables(t, service);
  const people = await Promise.all(Array.from({ length: 3 }, () => register(service)));
  await eventually('the queue is held', async () => (await service.get('/health/ready')).body.mail === 'unreachable');
  const [changing, asking, waiting] = await Promise.all(people.map(async (person) => ({ ...person, token: await logIn(service, person) })));
  if (!changing || !asking || !waiting) throw new Error('somebody is missing');
  const ask = async ({ token, password }: typeof waiting, newEmail: string) =>
    t.equal((await service.post('/auth/email', { newEmail, password }, { token })).status, 202);
  for (const person of [changing, asking, waiting]) await ask(person, `next.${person.email}`);
  const body = { currentPassword: changing.password, newPassword: 'the other password' };
  t.equal((await service.request('PUT', '/auth/password', { token: changing.token, body })).status, 204);
  await ask(asking, `newer.${asking.email}`);
  await ask(waiting, `next.${waiting.email}`);
  await mailServer.start();
  await outboxEmpty(tables);
  const linked = mailServer.taken.filter(({ text }) => text?.includes('/auth/email/confirm/')).flatMap(({ recipients }) => recipients);
  t.strictSame(linked.sort(), [`newer.${asking.email}`, `next.${waiting.email}`].sort(), 'the newest request only, once');
  const kinds = async (userId: string) =>
    (await tables.query.mails.findMany())
      .filter((mail) => mail.userId === userId)
      .map(({ kind, status }) => `${kind} ${status}`)
      .sort();
  t.match(await kinds(changing.id), ['confirmation sent', 'email_change dropped', 'email_change_requested sent', 'password_changed sent']);
});
