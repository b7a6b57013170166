import { and, eq } from 'drizzle-orm';
import t, { type Test } from 'tap';
import { deleteAccount } from '../../src/account/delete-account.ts';
import { changeRole, requireNamedUser } from '../../src/administration/manage-user.ts';
import { events, mails, sessions, users } from '../../src/db/schema.ts';
import { cookieHeader, setCookies } from '../support/cookies.ts';
import { eventually } from '../support/eventually.ts';
import { createFaultyMailServer } from '../support/faulty-mail-server.ts';
import { outboxEmpty } from '../support/held-clock.ts';
import {
  confirmationPath,
  confirmationToken,
  confirmedPerson,
  emailChangeToken,
  logIn,
  newDetails,
  openSession,
  register,
  resetToken,
} from '../support/person.ts';
import { refused } from '../support/refusal.ts';
import { type Service, startService } from '../support/service.ts';
import { openTables } from '../support/tables.ts';

const remove = (service: Service, token: string | undefined, body: unknown, headers = {}) =>
  service.post('/auth/me/deletion', body, { ...(token !== undefined && { token }), headers });

t.test('the deletion of an account by its owner', async (t) => {
  const service = await startService(t);
  const tables = openTables(t, service);
  const kept = async (id: string) => ({
    users: await tables.$count(users, eq(users.id, id)),
    sessions: await tables.$count(sessions, eq(sessions.userId, id)),
    events: await tables.$count(events, eq(events.userId, id)),
    mails: await tables.$count(mails, eq(mails.userId, id)),
  });
  const nothing = { users: 0, sessions: 0, events: 0, mails: 0 };
  const newcomer = async () => {
    const person = await register(service);
    return { ...person, token: await logIn(service, person) };
  };
  const refusals = (id: string) => tables.$count(events, and(eq(events.userId, id), eq(events.type, 'password_refused')));

  t.test('P01: is refused without the password, or with a wrong one, which is recorded', async (t) => {
    const { id, token, password } = await newcomer();
    refused(t, await remove(service, undefined, { password }), 401, 'unauthenticated');
    for (const body of [undefined, {}, { password: '' }, { password: null }, { password: [password] }, { password, id }, { id }]) {
      refused(t, await remove(service, token, body), 400, 'validation_failed', JSON.stringify(body));
    }
    t.equal(await refusals(id), 0);
    for (const wrong of [`${password}x`, password.toUpperCase(), password.slice(1), 'x'.repeat(5000)]) {
      const answer = await remove(service, token, { password: wrong });
      refused(t, answer, 403, 'wrong_password');
      t.notOk(answer.headers['set-cookie'], 'and nobody is logged out');
    }
    t.equal(await refusals(id), 4);
    // Its mail may have been sent only now, which is an event, too.
    const { events } = (await service.get('/auth/events', { token })).body;
    const refusal = events.find(({ type }: { type: string }) => type === 'password_refused');
    t.match(refusal, { ip: '127.0.0.1', userAgent: 'lightMyRequest' });
    t.equal((await service.get('/auth/me', { token })).status, 200);
    t.match(await kept(id), { users: 1, sessions: 1 });
  });

  async function assertShutOut(t: Test, session: { accessToken: string; refreshToken: string }) {
    refused(t, await service.get('/auth/me', { token: session.accessToken }), 401, 'unauthenticated');
    refused(t, await service.get('/secret', { token: session.accessToken }), 401, 'unauthenticated');
    refused(t, await service.post('/auth/refresh', { refreshToken: session.refreshToken }), 401, 'invalid_refresh_token');
  }

  t.test('L11: takes everything with it at once: sessions on every device, events and mails', async (t) => {
    const person = await confirmedPerson(service);
    const devices = [await openSession(service, person), await openSession(service, person)];
    const bystander = await confirmedPerson(service);
    t.match(await kept(person.id), { users: 1, sessions: 3, mails: 1 });
    const answer = await remove(service, devices[0]?.accessToken, { password: person.password });
    t.match([answer.status, answer.text, answer.headers['cache-control']], [204, '', 'no-store']);
    t.strictSame(await kept(person.id), nothing);
    for (const device of devices) await assertShutOut(t, device);
    refused(t, await service.get('/secret', { token: person.token }), 401, 'unauthenticated');
    refused(t, await remove(service, person.token, { password: person.password }), 401, 'unauthenticated', 'once more');
    const { email, username, password } = person;
    for (const login of [
      { email, password },
      { username, password },
    ]) {
      refused(t, await service.post('/auth/login', login), 401, 'invalid_credentials');
    }
    t.equal((await service.get('/secret', { token: bystander.token })).status, 200, 'nobody else is touched');
  });

  t.test('frees the names at once, and the new account has nothing of the old one', async (t) => {
    const details = newDetails();
    const old = await register(service, details);
    const link = await confirmationToken(service, old);
    const token = await logIn(service, old);
    t.equal((await remove(service, token, { password: details.password })).status, 204);
    const person = await register(service, details);
    t.not(person.id, old.id);
    refused(t, await service.get('/auth/me', { token }), 401, 'unauthenticated', 'the old session');
    refused(t, await service.get(`/auth/confirm/${link}`, { token: await logIn(service, person) }), 400, 'invalid_token');
    refused(t, await service.post('/auth/confirm', { token: link, password: details.password }), 400, 'invalid_token');
    t.equal((await service.get('/auth/me', { token: await logIn(service, person) })).body.user.confirmed, false);
    const again = await confirmationPath(service, person, 2);
    t.equal((await service.get(again, { token: await logIn(service, person) })).status, 200, 'its own link works');
  });

  t.test('voids every link that was mailed', async (t) => {
    const person = await confirmedPerson(service);
    const confirmation = await confirmationToken(service, person);
    const reset = await resetToken(service, person);
    const emailChange = await emailChangeToken(service, person, `next.${person.email}`);
    t.equal((await remove(service, person.token, { password: person.password })).status, 204);
    const { password } = person;
    refused(t, await service.post('/auth/confirm', { token: confirmation, password }), 400, 'invalid_token');
    refused(t, await service.get(`/auth/confirm/${confirmation}`), 400, 'invalid_token');
    refused(t, await service.post('/auth/password/reset', { token: reset, newPassword: 'another password' }), 400, 'invalid_token');
    refused(t, await service.post('/auth/email/confirm', { token: emailChange, password }), 400, 'invalid_token');
    refused(t, await service.get(`/auth/email/confirm/${emailChange}`), 400, 'invalid_token');
  });

  t.test('clears the cookies of a browser, and takes no word of another site for it', async (t) => {
    const { id, email, password } = await newcomer();
    const own = { 'sec-fetch-site': 'same-origin' };
    const login = await service.post('/auth/login', { email, password, transport: 'cookie' }, { headers: own });
    const cookie = cookieHeader(setCookies(login));
    for (const headers of [{ cookie, 'sec-fetch-site': 'cross-site' }, { cookie, origin: 'https://evil.test' }, { cookie }]) {
      refused(t, await remove(service, undefined, { password }, headers), 403, 'cross_origin_rejected');
    }
    t.equal((await kept(id)).users, 1);
    const answer = await remove(service, undefined, { password }, { ...own, cookie });
    t.equal(answer.status, 204);
    const cleared = setCookies(answer);
    t.strictSame(
      cleared.map(({ name, value }) => [name, value]),
      [
        ['access', ''],
        ['refresh', ''],
      ],
    );
    for (const { attributes } of cleared) {
      t.match(attributes, { HttpOnly: '', Path: '/', SameSite: 'Lax' });
      t.ok(Date.parse(attributes['Expires'] ?? '') <= 0);
    }
    refused(t, await service.get('/auth/me', { headers: { cookie } }), 401, 'unauthenticated');
    t.strictSame(await kept(id), nothing);
  });

  t.test('is refused to the last administrator, and costs no other one anything', async (t) => {
    const [last, other] = [await confirmedPerson(service), await confirmedPerson(service)];
    const { services } = service.app;
    const promote = async ({ id }: { id: string }) => changeRole(services, await requireNamedUser(services.db, id), 'admin');
    await promote(last);
    const token = await logIn(service, last);
    refused(t, await remove(service, token, { password: last.password }), 409, 'last_administrator');
    refused(t, await remove(service, token, { password: 'a wrong one' }), 403, 'wrong_password', 'the password comes first');
    t.equal((await service.get('/auth/me', { token })).status, 200);
    t.match(await kept(last.id), { users: 1, sessions: 1 });
    await promote(other);
    t.equal((await remove(service, token, { password: last.password })).status, 204);
    t.strictSame(await kept(last.id), nothing);
  });

  t.test('does not happen when the password is changed, or the account goes, after it was checked', async (t) => {
    const origin = { ip: '127.0.0.1', userAgent: undefined };
    const { services } = service.app;
    const between = (act: (id: string) => Promise<unknown>, id: string) => ({
      ...services,
      hasher: { ...services.hasher, verify: async () => (await act(id)) !== undefined },
    });
    const changed = await newcomer();
    const change = (id: string) => tables.update(users).set({ credentialVersion: 2 }).where(eq(users.id, id));
    await t.rejects(deleteAccount(between(change, changed.id), { id: changed.id, userId: changed.id }, changed.password, origin), {
      code: 'wrong_password',
    });
    t.equal((await kept(changed.id)).users, 1);
    const gone = await newcomer();
    // A worker that settles a mail and somebody who deletes its user could wait for each other.
    await outboxEmpty(tables);
    const vanish = (id: string) => tables.delete(users).where(eq(users.id, id));
    await t.rejects(deleteAccount(between(vanish, gone.id), { id: gone.id, userId: gone.id }, gone.password, origin), {
      code: 'unauthenticated',
    });
  });
});

t.test('a mail that still waits when the account is deleted is never sent', async (t) => {
  const mailServer = await createFaultyMailServer(t);
  const service = await startService(t, { SMTP_URL: mailServer.url });
  const tables = openTables(t, service);
  const [person, other] = [await register(service), await register(service)];
  t.equal(await tables.$count(mails, eq(mails.status, 'queued')), 2);
  t.equal((await remove(service, await logIn(service, person), { password: person.password })).status, 204);
  t.equal(await tables.$count(mails), 1);
  await mailServer.start();
  const recipients = () => mailServer.taken.flatMap((mail) => mail.recipients);
  await eventually('the other mail is sent', () => recipients().includes(other.email), 20_000);
  await eventually('the queue is empty', async () => (await tables.$count(mails, eq(mails.status, 'queued'))) === 0);
  t.strictSame(recipients(), [other.email]);
});
