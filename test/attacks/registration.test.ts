import { eq } from 'drizzle-orm';
import t from 'tap';
import { events, mails, sessions, users } from '../../src/db/schema.ts';
import { eventually } from '../support/eventually.ts';
import { outboxEmpty } from '../support/held-clock.ts';
import { startHttpService } from '../support/http.ts';
import { linksOf } from '../support/mail-server.ts';
import { confirmationToken, emailChangeToken, logIn, newDetails, openSession, register, resetToken } from '../support/person.ts';
import { refused } from '../support/refusal.ts';
import { startInstance } from '../support/service.ts';
import { openTables } from '../support/tables.ts';

t.test('R01 a registration is answered with the user and nothing secret, and mailed about', async (t) => {
  const service = await startHttpService(t);
  const details = { ...newDetails(), email: 'Ada.Byron@example.com' };
  const answer = await service.post('/auth/register', details);
  t.equal(answer.status, 201);
  t.strictSame(Object.keys(answer.body), ['user']);
  t.strictSame(Object.keys(answer.body.user).sort(), ['confirmed', 'createdAt', 'email', 'id', 'role', 'username']);
  t.match(answer.body.user, { email: details.email, username: details.username, role: 'user', confirmed: false });

  // It gives up after ten seconds.
  const mail = await service.mailServer.mailTo(details.email);
  t.strictSame(mail.recipients, [details.email], 'the address as it was typed');
  const links = linksOf(mail);
  t.ok(links.length > 0, 'the links are in the mail');
  const whole = JSON.stringify([answer.headers, answer.text]);
  const [row] = await openTables(t, service).select().from(users).where(eq(users.id, answer.body.user.id));
  t.match(row?.passwordHash, /^\$argon2id\$/);
  const [, , , , salt = '', digest = ''] = row?.passwordHash.split('$') ?? [];
  const secrets = [
    details.password,
    'argon2',
    salt,
    digest,
    ...links,
    ...links.flatMap((link) => link.split(/[/.]/).filter((part) => part.length > 20)),
  ];
  for (const secret of secrets) t.notOk(whole.includes(secret), 'the answer does not hold it');
  t.notMatch(whole, /\/auth\/|eyJ|https?:/, 'nor anything like it');
  t.notOk(answer.headers['set-cookie'] ?? answer.headers['location'] ?? answer.headers['authorization']);
});

t.test('R02 nobody makes themselves more than a new user', async (t) => {
  const service = await startHttpService(t, { RATE_LIMIT: 'off' });
  const extras = {
    confirmed: true,
    emailVerified: true,
    email_verified: true,
    confirmedAt: '2026-01-01T00:00:00.000Z',
    confirmed_at: '2026-01-01T00:00:00.000Z',
    role: 'admin',
    roles: ['admin'],
    isAdmin: true,
    id: '01890000-0000-7000-8000-000000000000',
    createdAt: '2020-01-01T00:00:00.000Z',
    passwordHash: '$argon2id$v=19$m=8,t=1,p=1$c2FsdHNhbHQ$x',
    credentialVersion: 7,
    disabledAt: null,
    pendingEmail: 'b@y.test',
    user: { confirmed: true },
    constructor: 'x',
    Role: 'admin',
    'role ': 'admin',
    '': true,
  };
  for (const [name, value] of Object.entries(extras)) {
    refused(t, await service.post('/auth/register', { ...newDetails(), [name]: value }), 400, 'validation_failed', JSON.stringify(name));
  }
  refused(t, await service.post('/auth/register', { ...newDetails(), ...extras }), 400, 'validation_failed', 'all of them');
  for (const query of ['confirmed=true', 'role=admin', '__proto__[role]=admin']) {
    const answer = await service.post(`/auth/register?${query}`, newDetails());
    t.match(answer, { status: 201, body: { user: { role: 'user', confirmed: false } } }, `a query means nothing: ${query}`);
  }
  const polluting = JSON.stringify(newDetails()).replace('{', '{"__proto__":{"role":"admin","confirmed":true},');
  refused(t, await service.post('/auth/register', polluting), 400, 'malformed_request', 'by way of the prototype');
  const twice = JSON.stringify({ ...newDetails(), username: 'first' }).replace('}', ',"username":"second"}');
  refused(t, await service.post('/auth/register', twice), 400, 'malformed_request', 'a member that is named twice');

  const person = await register(service);
  const token = await logIn(service, person);
  const me = await service.get('/auth/me', { token });
  t.match(me.body.user, { id: person.id, role: 'user', confirmed: false }, 'without them it is an account as any other');
  refused(t, await service.get('/secret', { token }), 403, 'unconfirmed');
  for (const name of ['confirmed', 'role', 'id', 'email']) {
    const answer = await service.request('PATCH', '/auth/me', { token, body: { [name]: extras[name as 'role'] ?? 'b@y.test' } });
    refused(t, answer, 400, 'validation_failed', `nor does one become so: ${name}`);
  }
  const answer = await service.request('PATCH', `/admin/users/${person.id}`, { token, body: { role: 'admin' } });
  refused(t, answer, 403, 'unconfirmed', 'by way of the administration');
  refused(t, await service.get('/secret', { token }), 403, 'unconfirmed', 'still');
});

t.test('R16 who registered with the address of somebody else has nothing left once its owner has come', async (t) => {
  const service = await startHttpService(t, { RATE_LIMIT: 'off' });
  const { email, username, password, id } = await register(service);
  const held = await openSession(service, { email, password });
  const byCookie = await service.post(
    '/auth/login',
    { email, password, transport: 'cookie', rememberMe: true },
    { headers: { 'sec-fetch-site': 'same-origin' } },
  );
  const cookie = [byCookie.headers['set-cookie']]
    .flat()
    .map((field) => field?.split(';')[0])
    .join('; ');
  const stale = await resetToken(service, { email });
  const change = await emailChangeToken(service, { password, token: held.accessToken }, `attacker.${email}`);
  t.equal((await service.get('/auth/me', { token: held.accessToken })).status, 200, 'until then it is the account of the attacker');

  const newPassword = 'chosen by the owner of the mailbox';
  const token = await resetToken(service, { email });
  const reset = await service.post('/auth/password/reset', { token, newPassword });
  t.equal(reset.status, 204);
  t.notOk(reset.headers['set-cookie'], 'which logs nobody in');

  for (const name of [{ email }, { username }]) {
    refused(t, await service.post('/auth/login', { ...name, password }), 401, 'invalid_credentials', 'the old password');
  }
  for (const path of ['/auth/me', '/auth/sessions', '/secret']) {
    refused(t, await service.get(path, { token: held.accessToken }), 401, 'unauthenticated', path);
    refused(t, await service.get(path, { headers: { cookie } }), 401, 'unauthenticated', `${path} by cookie`);
  }
  refused(t, await service.post('/auth/refresh', { refreshToken: held.refreshToken }), 401, 'invalid_refresh_token');
  const refresh = await service.post('/auth/refresh', undefined, { headers: { cookie, 'sec-fetch-site': 'same-origin' } });
  refused(t, refresh, 401, 'invalid_refresh_token', 'by cookie');
  const body = { currentPassword: password, newPassword: 'that of the attacker again' };
  refused(
    t,
    await service.request('PUT', '/auth/password', { token: held.accessToken, body }),
    401,
    'unauthenticated',
    'nor can it be set back',
  );
  refused(t, await service.post('/auth/email/confirm', { token: change, password }), 410, 'used_token', 'the link to the attacker');
  refused(t, await service.post('/auth/email/confirm', { token: change, password: newPassword }), 410, 'used_token', 'for nobody');
  refused(
    t,
    await service.post('/auth/password/reset', { token: stale, newPassword: 'another new one' }),
    410,
    'used_token',
    'an older link',
  );

  const session = await openSession(service, { email, password: newPassword });
  const me = await service.get('/auth/me', { token: session.accessToken });
  t.match(me.body.user, { id, email, confirmed: true }, 'the owner has the account, and it is confirmed');
  t.equal((await service.get('/secret', { token: session.accessToken })).status, 200);
  const { sessions: open } = (await service.get('/auth/sessions', { token: session.accessToken })).body;
  t.equal(open.length, 1, 'and nobody else is in it');
});

t.test('R18 an account that was never confirmed gives its names back', async (t) => {
  const service = await startHttpService(t, { RATE_LIMIT: 'off', UNCONFIRMED_ACCOUNT_TTL_DAYS: '3' });
  const tables = openTables(t, service);
  const [old, untouched, confirmed] = [await register(service), await register(service), await register(service)];
  const link = await confirmationToken(service, old);
  const confirmation = { token: await confirmationToken(service, confirmed), password: confirmed.password };
  t.equal((await service.post('/auth/confirm', confirmation)).status, 200);
  await outboxEmpty(tables);
  service.clock.advance({ days: 3, minutes: -5 });
  const held = await openSession(service, old);
  const again = { ...old, id: undefined, password: 'that of the newcomer' };
  refused(t, await service.post('/auth/register', again), 409, 'email_taken', 'its time is not over');
  t.equal((await service.get('/auth/me', { token: held.accessToken })).status, 200);

  service.clock.advance({ minutes: 6 });
  refused(t, await service.post('/auth/register', { ...confirmed, id: undefined }), 409, 'email_taken', 'who is confirmed stays');
  const answer = await service.post('/auth/register', { ...again, email: old.email.toUpperCase(), username: old.username.toUpperCase() });
  t.equal(answer.status, 201, 'both names are free, in any case');
  t.not(answer.body.user.id, old.id);
  for (const table of [sessions, mails, events]) t.equal(await tables.$count(table, eq(table.userId, old.id)), 0, 'nothing of it is left');
  refused(t, await service.get('/auth/me', { token: held.accessToken }), 401, 'unauthenticated', 'its sessions are over');
  refused(t, await service.post('/auth/refresh', { refreshToken: held.refreshToken }), 401, 'invalid_refresh_token');
  refused(t, await service.post('/auth/login', { email: old.email, password: old.password }), 401, 'invalid_credentials');
  refused(t, await service.post('/auth/confirm', { token: link, password: again.password }), 410, 'expired_token', 'its link is dead');
  const fresh = await confirmationToken(service, old, 2);
  t.match(await service.post('/auth/confirm', { token: fresh, password: again.password }), { status: 200, body: { status: 'confirmed' } });

  t.equal(await tables.$count(users, eq(users.id, untouched.id)), 1, 'one that nobody wants waits for the purge');
  await outboxEmpty(tables);
  await service.app.close();
  await startInstance(t, service.env, service.clock);
  const left = openTables(t, service);
  await eventually('it is purged', async () => (await left.$count(users, eq(users.id, untouched.id))) === 0);
  t.equal(await left.$count(mails, eq(mails.userId, untouched.id)), 0, 'with its mails');
  t.equal(await left.$count(users), 2, 'and nobody else is');
});
