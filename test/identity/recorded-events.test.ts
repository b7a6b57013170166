import { asc, eq } from 'drizzle-orm';
import t, { type Test } from 'tap';
import { changeRole, disableUser, enableUser, requireNamedUser } from '../../src/administration/manage-user.ts';
import type { EventType } from '../../src/db/kinds.ts';
import { events, users } from '../../src/db/schema.ts';
import type { Answer } from '../support/client.ts';
import { eventually } from '../support/eventually.ts';
import { createFaultyMailServer } from '../support/faulty-mail-server.ts';
import { outboxEmpty } from '../support/held-clock.ts';
import { settled } from '../support/outbox.ts';
import {
  confirmationPath,
  confirmationToken,
  confirmedPerson,
  emailChangeToken,
  logIn,
  newDetails,
  openSession,
  type Person,
  register,
  resetToken,
} from '../support/person.ts';
import { startService } from '../support/service.ts';
import { openTables } from '../support/tables.ts';

const newPassword = 'the other password';

t.test('X06: what happens to an account is recorded once, and what does not happen is not', async (t) => {
  const service = await startService(t, { RATE_LIMIT: 'off' });
  const tables = openTables(t, service);
  const { clock } = service;
  const { services } = service.app;
  const recorded = ({ id }: Pick<Person, 'id'>) => tables.select().from(events).where(eq(events.userId, id)).orderBy(asc(events.id));

  /** Does something, and asserts that these, and no other, are the events that it has caused. */
  async function causes(t: Test, what: string, person: Pick<Person, 'id'>, types: EventType[], act: () => Promise<unknown>) {
    await outboxEmpty(tables);
    const known = new Set((await recorded(person)).map(({ id }) => id));
    const since = async () => (await recorded(person)).filter(({ id }) => !known.has(id));
    await act();
    await outboxEmpty(tables);
    await eventually(`${what} is recorded`, async () => (await since()).length >= types.length);
    const rows = await since();
    t.strictSame(rows.map(({ type }) => type).sort(), types.toSorted(), what);
    for (const { type, at, ip, userAgent, actorId } of rows) {
      const origin = type.includes('_mail_') ? [null, null, null] : ['127.0.0.1', 'lightMyRequest', null];
      t.strictSame([ip, userAgent, actorId], origin, `${what}: from where`);
      t.ok(Math.abs(at.getTime() - clock.now().getTime()) < 60_000);
    }
  }
  const answered = async (status: number, answer: Promise<Answer>) => {
    const { status: actual, text } = await answer;
    if (actual !== status) throw new Error(`${actual} instead of ${status}: ${text}`);
  };
  const post = (status: number, url: string, body?: unknown, token?: string) =>
    answered(status, service.post(url, body, token === undefined ? {} : { token }));
  const newcomer = async () => {
    const person = await register(service);
    return { ...person, token: await logIn(service, person) };
  };

  t.test('registration and confirmation', async (t) => {
    const details = newDetails();
    const person = await register(service, details);
    await causes(t, 'nothing more', person, [], async () => {});
    await outboxEmpty(tables);
    t.strictSame(
      (await recorded(person)).map(({ type }) => type),
      ['registered', 'confirmation_mail_sent'],
    );
    const attempt = () => post(409, '/auth/register', details);
    await causes(t, 'an attempt on an unconfirmed account', person, [], attempt);
    const token = await logIn(service, person);
    const resend = () => post(202, '/auth/confirm/resend', undefined, token);
    await causes(t, 'another mail', person, ['confirmation_requested', 'confirmation_mail_sent'], resend);
    const path = await confirmationPath(service, person);
    const link = await confirmationToken(service, person);
    await causes(t, 'a link without a session', person, [], () => answered(401, service.get(path)));
    const guess = () => post(401, '/auth/confirm', { token: link, password: 'a wrong one' });
    await causes(t, 'a link with a wrong password', person, ['login_failed'], guess);
    const follow = () => Promise.all(Array.from({ length: 20 }, () => answered(200, service.get(path, { token }))));
    await causes(t, 'C03: twenty confirmations', person, ['confirmed'], follow);
    await causes(t, 'one more', person, [], follow);
    await causes(t, 'a resend that is refused', person, [], () => post(409, '/auth/confirm/resend', undefined, token));
    await causes(t, 'an attempt', person, ['registration_attempted', 'registration_attempt_mail_sent'], attempt);
    await causes(t, 'another one on the same day', person, [], attempt);
    t.equal(await tables.$count(events, eq(events.type, 'registered')), await tables.$count(users), 'none of those who were refused');
  });

  t.test('logins and sessions', async (t) => {
    const person = await newcomer();
    const { email, username, password, token } = person;
    await causes(t, 'a login', person, ['logged_in'], () => post(200, '/auth/login', { email, password }));
    const wrong = () => post(401, '/auth/login', { username, password: 'a wrong one' });
    await causes(t, 'a wrong password', person, ['login_failed'], wrong);
    await causes(t, 'three of them', person, ['login_failed', 'login_failed', 'login_failed'], async () => {
      for (let count = 0; count < 3; count += 1) await wrong();
    });
    const disable = async () => void (await disableUser(services, await requireNamedUser(services.db, person.id)));
    const enable = async () => void (await enableUser(services, await requireNamedUser(services.db, person.id)));
    const before = await tables.$count(events, eq(events.type, 'disabled'));
    await disable();
    await causes(t, 'a login to a disabled account', person, ['login_failed'], () => post(401, '/auth/login', { email, password }));
    await enable();
    t.equal(await tables.$count(events, eq(events.type, 'disabled')), before + 1);
    await causes(t, 'a session that has ended already', person, [], () => answered(401, service.get('/auth/me', { token })));

    const current = await logIn(service, person);
    const other = await service.post('/auth/login', { email, password });
    const end = (path: string, status = 204) => answered(status, service.request('DELETE', `/auth/sessions${path}`, { token: current }));
    await causes(t, 'the end of a session', person, ['session_ended'], () => end(`/${other.body.session.id}`));
    await causes(t, 'the end of one that is over', person, [], () => end(`/${other.body.session.id}`, 404));
    await causes(t, 'the end of all others when there are none', person, [], () => end(''));
    await logIn(service, person);
    await logIn(service, person);
    await causes(t, 'the end of all others', person, ['sessions_ended'], () => end(''));
    const { refreshToken } = await openSession(service, person);
    await causes(t, 'a refresh', person, [], () => post(200, '/auth/refresh', { refreshToken }));
    clock.advance({ seconds: 11 });
    const reuse = () => post(401, '/auth/refresh', { refreshToken });
    await causes(t, 'F01: a token that is used twice', person, ['refresh_reused', 'session_ended'], reuse);
    await causes(t, 'and once more', person, [], reuse);
    await causes(t, 'a logout', person, ['logged_out'], () => post(204, '/auth/logout', undefined, current));
  });

  t.test('passwords', async (t) => {
    const person = await newcomer();
    const { email, password, token } = person;
    const put = (body: object, status: number) => answered(status, service.request('PUT', '/auth/password', { token, body }));
    await causes(t, 'a wrong one', person, ['password_refused'], () => put({ currentPassword: 'a wrong one', newPassword }, 403));
    await causes(t, 'a weak one', person, [], () => put({ currentPassword: password, newPassword: 'password1' }, 400));
    const change = () => put({ currentPassword: password, newPassword }, 204);
    await causes(t, 'a change', person, ['password_changed', 'password_changed_mail_sent'], change);
    await logIn(service, { email, password: newPassword });
    // An address that is not confirmed gets one such notice a minute.
    service.clock.advance({ seconds: 61 });
    const back = () => put({ currentPassword: newPassword, newPassword: password }, 204);
    await causes(t, 'with another session', person, ['password_changed', 'sessions_ended', 'password_changed_mail_sent'], back);

    let link = '';
    const forget = async () => {
      link = await resetToken(service, person);
    };
    await causes(t, 'a reset that is asked for', person, ['password_reset_requested', 'password_reset_mail_sent'], forget);
    await causes(t, 'a reset with a weak one', person, [], () =>
      post(400, '/auth/password/reset', { token: link, newPassword: 'password1' }),
    );
    const reset = () => post(204, '/auth/password/reset', { token: link, newPassword });
    await causes(t, 'a reset', person, ['password_reset', 'confirmed', 'sessions_ended', 'password_changed_mail_sent'], reset);
    await causes(t, 'the same link', person, [], () => post(410, '/auth/password/reset', { token: link, newPassword }));
  });

  t.test('the address and the name', async (t) => {
    const person = await confirmedPerson(service);
    const { password, token } = person;
    const other = await register(service);
    const ask = (newEmail: string, status: number, word = password) => post(status, '/auth/email', { newEmail, password: word }, token);
    await causes(t, 'a wrong password', person, ['password_refused'], () => ask('new.one@example.com', 403, 'a wrong one'));
    await causes(t, 'an address that is taken', person, [], () => ask(other.email, 409));
    let link = '';
    const request: EventType[] = ['email_change_requested', 'email_change_mail_sent', 'email_change_requested_mail_sent'];
    await causes(t, 'a request', person, request, async () => {
      link = await emailChangeToken(service, person, 'new.one@example.com');
    });
    const follow = (status: number) => answered(status, service.get(`/auth/email/confirm/${link}`, { token }));
    await causes(t, 'the link', person, ['email_changed', 'email_changed_mail_sent'], () => follow(200));
    await causes(t, 'the link again', person, [], () => follow(410));
    const rename = (username: string, status: number) =>
      answered(status, service.request('PATCH', '/auth/me', { token, body: { username } }));
    await causes(t, 'a name', person, ['username_changed'], () => rename('renamed.person', 200));
    await causes(t, 'the same name', person, [], () => rename('renamed.person', 200));
    await causes(t, 'a name that is taken', person, [], () => rename(other.username, 409));
  });

  t.test('administration on the command line is nobody’s', async (t) => {
    const person = await newcomer();
    await outboxEmpty(tables);
    const before = (await recorded(person)).length;
    await changeRole(services, await requireNamedUser(services.db, person.id), 'admin');
    const rows = (await recorded(person)).slice(before);
    t.strictSame(
      rows.map(({ type, ip, actorId }) => [type, ip, actorId]),
      [
        ['role_changed', null, null],
        ['sessions_ended', null, null],
      ],
    );
    await t.rejects(changeRole(services, await requireNamedUser(services.db, person.id), 'user'), { code: 'last_administrator' });
    t.equal((await recorded(person)).length, before + 2, 'nothing of what was rolled back');
  });

  t.test('a failed login to an account that there is not is nobody’s', async (t) => {
    const count = await tables.$count(events);
    for (const login of [{ email: 'nobody@example.com' }, { username: 'nobody' }, { username: '%' }]) {
      await post(401, '/auth/login', { ...login, password: 'a wrong one' });
    }
    const person = await register(service);
    await causes(t, 'a failed login that comes after them', person, ['login_failed'], () =>
      post(401, '/auth/login', { email: person.email, password: 'a wrong one' }),
    );
    t.equal(await tables.$count(events), count + 3, 'the registration, its mail, and the failed login');
  });

  t.test('a user agent that is longer than anybody needs is cut', async (t) => {
    const { email, password, id } = await register(service);
    const agent = `Mozilla/5.0 ${'x'.repeat(5000)}`;
    t.equal((await service.post('/auth/login', { email, password }, { headers: { 'user-agent': agent } })).status, 200);
    t.equal((await service.post('/auth/login', { email, password: 'wrong' }, { headers: { 'user-agent': agent } })).status, 401);
    await eventually('both are recorded', async () => (await recorded({ id })).filter(({ type }) => type.startsWith('log')).length === 2);
    const agents = (await recorded({ id })).filter(({ type }) => type.startsWith('log')).map(({ userAgent }) => userAgent);
    t.strictSame(agents, [agent.slice(0, 512), agent.slice(0, 512)]);
  });
});

t.test('X06: a mail that is refused for good is recorded as failed', async (t) => {
  const mailServer = await createFaultyMailServer(t);
  await mailServer.start();
  mailServer.fail({ recipient: () => 550 });
  const service = await startService(t, { SMTP_URL: mailServer.url });
  const tables = openTables(t, service);
  const person = await register(service);
  await settled(tables, person.email, 'failed');
  const { body } = await service.get('/auth/events', { token: await logIn(service, person) });
  t.strictSame(
    body.events.map(({ type }: { type: string }) => type),
    ['logged_in', 'confirmation_mail_failed', 'registered'],
  );
});
