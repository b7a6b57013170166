import { randomUUID } from 'node:crypto';
import { eq } from 'drizzle-orm';
import { fastify } from 'fastify';
import t, { type Test } from 'tap';
import { listUsers } from '../../src/administration/list-users.ts';
import {
  changeRole,
  confirmUser,
  deleteUser,
  disableUser,
  enableUser,
  endUserSessions,
  requireNamedUser,
} from '../../src/administration/manage-user.ts';
import { events, mails, roles, sessions } from '../../src/db/schema.ts';
import { guardPlugin } from '../../src/guard/plugin.ts';
import { httpPlugin } from '../../src/http/plugin.ts';
import { roleText } from '../../src/identity/member-schemas.ts';
import { findUserById } from '../../src/identity/users.ts';
import { type Answer, createClient } from '../support/client.ts';
import { confirmationPath, confirmedPerson, newDetails, type Person, register } from '../support/person.ts';
import { refused } from '../support/refusal.ts';
import { startService } from '../support/service.ts';

t.test('administration', async (t) => {
  const service = await startService(t);
  const { services } = service.app;
  const { db } = services;

  const row = ({ id }: Pick<Person, 'id'>) => requireNamedUser(db, id);
  const logIn = ({ email, password }: Person): Promise<Answer> => service.post('/auth/login', { email, password });
  const open = async (person: Person) => (await logIn(person)).body as { accessToken: string; refreshToken: string };
  const me = (accessToken: string) => service.get('/auth/me', { token: accessToken });
  const refresh = (refreshToken: string) => service.post('/auth/refresh', { refreshToken });
  async function assertDead(t: Test, { accessToken, refreshToken }: { accessToken: string; refreshToken: string }) {
    refused(t, await me(accessToken), 401, 'unauthenticated', 'the live access token');
    refused(t, await refresh(refreshToken), 401, 'invalid_refresh_token');
  }

  t.test('a user is found by id, by address and by name, in any case', async (t) => {
    const person = await register(service, { ...newDetails(), email: 'Grace.H@example.com', username: 'Grace.H' });
    for (const name of [person.id, 'Grace.H@example.com', 'grace.h@EXAMPLE.com', 'Grace.H', 'GRACE.H']) {
      t.equal((await requireNamedUser(db, name)).id, person.id, name);
    }
    for (const name of [randomUUID(), 'nobody@example.com', 'nobody', '', '%', '@', 'Grace_H']) {
      await t.rejects(requireNamedUser(db, name), { code: 'not_found' }, `no user: ${name}`);
    }
  });

  t.test('L11: who is disabled cannot log in, refresh, or go on, until enabled again', async (t) => {
    for (const person of [await register(service), await confirmedPerson(service)]) {
      const [one, other] = [await open(person), await open(person)];
      const bystander = await open(await register(service));
      t.equal((await me(one.accessToken)).status, 200);
      const disabled = await disableUser(services, await row(person));
      t.type(disabled.disabledAt, Date);
      for (const session of [one, other]) await assertDead(t, session);
      const [shutOut, unknown] = [await logIn(person), await service.post('/auth/login', { email: 'x@example.com', password: 'x' })];
      refused(t, shutOut, 401, 'invalid_credentials');
      t.equal(shutOut.text, unknown.text, 'as if there were no such account');
      t.strictSame(Object.keys(shutOut.headers), Object.keys(unknown.headers));
      t.equal((await me(bystander.accessToken)).status, 200, 'nobody else is');

      service.clock.advance({ seconds: 1 });
      const again = await disableUser(services, await row(person));
      t.same(again.disabledAt, disabled.disabledAt, 'once more changes nothing');

      t.equal((await enableUser(services, await row(person))).disabledAt, null);
      for (const session of [one, other]) await assertDead(t, session);
      const back = await open(person);
      t.equal((await me(back.accessToken)).status, 200);
      await enableUser(services, await row(person));
      t.equal((await me(back.accessToken)).status, 200, 'enabling who is enabled ends nothing');
    }
  });

  t.test('a disabled account is not confirmed by its link', async (t) => {
    const person = await register(service);
    const path = await confirmationPath(service, person);
    await disableUser(services, await row(person));
    refused(t, await service.get(path), 401, 'unauthenticated');
    await enableUser(services, await row(person));
    t.equal((await service.get(path, { token: (await open(person)).accessToken })).status, 200, 'but once it is enabled');
  });

  t.test('an address is confirmed on the word of an administrator, and the sessions from before know it', async (t) => {
    const person = await register(service);
    const { accessToken } = await open(person);
    refused(t, await service.get('/secret', { token: accessToken }), 403, 'unconfirmed');
    const { confirmedAt } = await confirmUser(services, await row(person));
    t.type(confirmedAt, Date);
    t.equal((await service.get('/secret', { token: accessToken })).status, 200);
    t.same((await confirmUser(services, await row(person))).confirmedAt, confirmedAt, 'once more changes nothing');
  });

  t.test('another role ends the sessions that tell the old one; new ones open what the role opens', async (t) => {
    // An application of nothing but the guard, on the sessions of the service beside it.
    const app = fastify();
    t.teardown(() => app.close());
    await app.register(httpPlugin, { headers: { 'cache-control': 'no-store' } });
    await app.register(guardPlugin, { ...services, protection: 'basic', accessCookie: 'access' });
    app.get('/administration', { config: { role: 'admin' } }, async () => ({ welcome: true }));
    app.get('/desk', { config: { access: 'session', role: 'admin' } }, async () => ({ welcome: true }));
    const guarded = createClient(app);
    const visit = (token: string) => guarded.get('/administration', { token });

    const person = await confirmedPerson(service);
    const before = await open(person);
    refused(t, await visit(before.accessToken), 403, 'forbidden');
    refused(t, await guarded.get('/administration'), 401, 'unauthenticated');
    t.equal((await changeRole(services, await row(person), 'admin')).role, 'admin');
    await assertDead(t, before);
    refused(t, await visit(before.accessToken), 401, 'unauthenticated', 'the token from before');

    const after = await open(person);
    t.equal(claimsOf(after.accessToken)['role'], 'admin');
    t.equal((await visit(after.accessToken)).status, 200);
    const { body } = await refresh(after.refreshToken);
    t.equal(claimsOf(body.accessToken)['role'], 'admin', 'a refresh keeps it');
    await changeRole(services, await row(person), 'admin');
    t.equal((await visit(after.accessToken)).status, 200, 'the same role again ends nothing');

    const newcomer = await register(service);
    await changeRole(services, await row(newcomer), 'admin');
    const { accessToken } = await open(newcomer);
    refused(t, await visit(accessToken), 403, 'unconfirmed', 'an administrator who is not confirmed');
    t.equal((await guarded.get('/desk', { token: accessToken })).status, 200, 'but where the confirmation is not asked for');
    await deleteUser(services, await row(newcomer));

    await register(service, { ...newDetails(), username: 'Second' });
    await confirmUser(services, await changeRole(services, await requireNamedUser(db, 'second'), 'admin'));
    await changeRole(services, await row(person), 'user');
    refused(t, await visit(after.accessToken), 401, 'unauthenticated', 'the role that was taken');
    refused(t, await visit((await open(person)).accessToken), 403, 'forbidden');
  });

  t.test('a role that there is not is refused, and nothing changes', async (t) => {
    const person = await register(service);
    const { accessToken } = await open(person);
    for (const role of ['root', 'Admin', '', "admin'--"]) {
      const expected = { code: 'validation_failed', message: String };
      await t.rejects(changeRole(services, await row(person), role), expected, `the role ${role}`);
    }
    t.equal((await row(person)).role, 'user');
    t.equal((await me(accessToken)).status, 200);
    const known = (await db.select().from(roles)).map(({ name }) => name);
    t.strictSame(known.sort(), [...(roleText.enum ?? [])].sort(), 'all that there are stand in the OpenAPI document');
  });

  t.test('the last administrator stays one, whatever is tried', async (t) => {
    const last = await requireNamedUser(db, 'second');
    const refusal = { code: 'last_administrator' };
    const attempts: Record<string, () => Promise<unknown>> = {
      disable: () => disableUser(services, last),
      demote: () => changeRole(services, last, 'user'),
      delete: () => deleteUser(services, last),
    };
    const other = await confirmedPerson(service);
    for (const [what, attempt] of Object.entries(attempts)) await t.rejects(async () => void (await attempt()), refusal, what);
    const newcomer = await register(service);
    await changeRole(services, await row(newcomer), 'admin');
    for (const [what, attempt] of Object.entries(attempts))
      await t.rejects(async () => void (await attempt()), refusal, `${what}: one who is not confirmed does not count`);
    await changeRole(services, await row(newcomer), 'user');
    await changeRole(services, await row(other), 'admin');
    await disableUser(services, await row(other));
    for (const [what, attempt] of Object.entries(attempts))
      await t.rejects(async () => void (await attempt()), refusal, `${what}: a disabled one does not count`);
    t.match(await row(last), { role: 'admin', disabledAt: null });
    t.equal((await changeRole(services, last, 'admin')).role, 'admin', 'what they are already');
    t.equal((await enableUser(services, last)).disabledAt, null);

    await enableUser(services, await row(other));
    await disableUser(services, last);
    t.match(await row(last), { disabledAt: Date }, 'once there is another');
    await changeRole(services, last, 'user');
    await deleteUser(services, last);
    await t.rejects(row(last), { code: 'not_found' });
    await t.rejects(disableUser(services, await row(other)), refusal);
  });

  t.test('L11: a deleted account is gone with all that belongs to it', async (t) => {
    const details = newDetails();
    const person = await register(service, details);
    const [spent, other] = [await open(person), await open(person)];
    const renewed = await refresh(spent.refreshToken);
    service.clock.advance({ seconds: 11 });
    refused(t, await refresh(spent.refreshToken), 401, 'invalid_refresh_token', 'so that an event is recorded');
    t.equal(renewed.status, 200);
    const kept = async () => ({
      events: await db.$count(events, eq(events.userId, person.id)),
      sessions: await db.$count(sessions, eq(sessions.userId, person.id)),
      mails: await db.$count(mails, eq(mails.recipient, person.email)),
    });
    t.match(await kept(), { events: Number, sessions: 1, mails: 1 });
    t.ok((await kept()).events >= 5);
    const before = await row(person);
    await deleteUser(services, before);
    t.strictSame(await kept(), { events: 0, sessions: 0, mails: 0 });
    t.equal(await findUserById(db, person.id), undefined);
    await assertDead(t, other);
    refused(t, await logIn(person), 401, 'invalid_credentials');
    await t.rejects(deleteUser(services, before), { code: 'not_found' });
    for (const change of [disableUser, enableUser]) await t.rejects(change(services, before), { code: 'not_found' });
    t.type((await register(service, details)).id, 'string', 'the names are free again');
  });

  t.test('all sessions of a user end, and are counted', async (t) => {
    const person = await confirmedPerson(service);
    const [one, other] = [await open(person), await open(person)];
    t.equal(await endUserSessions(services, await row(person)), 3);
    for (const session of [one, other]) await assertDead(t, session);
    t.equal(await endUserSessions(services, await row(person)), 0);
    t.equal((await logIn(person)).status, 200, 'they may come back');
  });

  t.test('users are listed in the order in which they registered, by part of a name, page by page', async (t) => {
    const list = async (q: string | undefined, after?: string, limit = 200) =>
      (await listUsers(db, { q, limit, after })).map(({ username }) => username);
    const names = ['Wild_one', 'wildXone', 'Wildone'];
    for (const username of names) await register(service, { ...newDetails(), username });
    const percent = { ...newDetails(), email: '100%wild@example.com', username: 'hundred' };
    await register(service, percent);
    t.strictSame(await list('wILd'), [...names, 'hundred'], 'in any case, and in the address, too');
    t.strictSame(await list('d_o'), ['Wild_one'], 'an underscore is an underscore');
    t.strictSame(await list('0%w'), ['hundred'], 'a percent sign is a percent sign');
    for (const q of ['%', '0%']) t.strictSame(await list(q), ['hundred'], q);
    for (const q of ['\\', 'wild\\', "' or true--", '_%']) t.strictSame(await list(q), [], q);

    const all = await list(undefined);
    t.equal(all.length > 6, true);
    const paged: string[] = [];
    for (let after: string | undefined; ; ) {
      const page = await listUsers(db, { limit: 4, after });
      paged.push(...page.map(({ username }) => username));
      if (page.length < 4) break;
      after = page.at(-1)?.id;
    }
    t.strictSame(paged, all);
  });
});

function claimsOf(token: string): Record<string, unknown> {
  return JSON.parse(Buffer.from(token.split('.')[1] ?? '', 'base64url').toString());
}
