import { randomUUID } from 'node:crypto';
import { and, eq } from 'drizzle-orm';
import t, { type Test } from 'tap';
import { changeRole, requireNamedUser } from '../../src/administration/manage-user.ts';
import { events, mails, sessions, users } from '../../src/db/schema.ts';
import type { Answer } from '../support/client.ts';
import { outboxEmpty } from '../support/held-clock.ts';
import { confirmationPath, confirmedPerson, logIn, newDetails, openSession, type Person, register } from '../support/person.ts';
import { refused } from '../support/refusal.ts';
import { startService } from '../support/service.ts';
import { openTables } from '../support/tables.ts';

const nobody = '01a1fcb8-b0da-7772-b277-02bea7b5c31c';
const malformed = ['x', '0', `urn:uuid:${nobody}`, nobody.slice(1), `${nobody}0`, `{${nobody}}`, nobody.replaceAll('-', ''), '%00', "'--"];

t.test('administration over HTTP', async (t) => {
  const service = await startService(t);
  const tables = openTables(t, service);
  const { services } = service.app;
  const promote = async ({ id }: Pick<Person, 'id'>) => changeRole(services, await requireNamedUser(services.db, id), 'admin');
  const admin = await confirmedPerson(service);
  await promote(admin);
  const token = await logIn(service, admin);

  const get = (path: string) => service.get(`/admin/users${path}`, { token });
  const patch = (id: string, body?: unknown) =>
    service.request('PATCH', `/admin/users/${id}`, { token, ...(body !== undefined && { body }) });
  const remove = (path: string) => service.request('DELETE', `/admin/users/${path}`, { token });
  const row = async ({ id }: Pick<Person, 'id'>) => (await tables.select().from(users).where(eq(users.id, id)))[0];
  const usernames = ({ body }: Answer): string[] => body.users.map(({ username }: Person) => username);
  const eventTypes = async ({ id }: Pick<Person, 'id'>): Promise<string[]> =>
    (await get(`/${id}/events?limit=100`)).body.events.map(({ type }: { type: string }) => type);

  t.test('is for confirmed administrators alone', async (t) => {
    const newcomer = await register(service);
    await promote(newcomer);
    const [unconfirmed, user] = [await logIn(service, newcomer), (await confirmedPerson(service)).token];
    const victim = await confirmedPerson(service);
    const requests = [
      ['GET', ''],
      ['GET', `/${victim.id}`],
      ['PATCH', `/${victim.id}`],
      ['DELETE', `/${victim.id}`],
      ['GET', `/${victim.id}/events`],
      ['DELETE', `/${victim.id}/sessions`],
      ['GET', '/malformed'],
      ['GET', `/${nobody}`],
    ] as const;
    for (const [method, path] of requests) {
      const visit = (visitor?: string) =>
        service.request(method, `/admin/users${path}`, {
          ...(visitor && { token: visitor }),
          ...(method === 'PATCH' && { body: { role: 'admin' } }),
        });
      refused(t, await visit(), 401, 'unauthenticated', `${method} ${path}: anonymous`);
      refused(t, await visit(unconfirmed), 403, 'unconfirmed', `${method} ${path}: an administrator who is not confirmed`);
      refused(t, await visit(user), 403, 'forbidden', `${method} ${path}: a user`);
    }
    t.match(await row(victim), { role: 'user', disabledAt: null });
    t.equal((await service.get('/secret', { token: victim.token })).status, 200);
    t.equal((await remove(newcomer.id)).status, 204);
  });

  t.test('users are found by part of an address or a name, in any case, and literally', async (t) => {
    for (const [username, email] of [
      ['Find_one', 'first@Seek.example.com'],
      ['findXone', 'second@seek.example.com'],
      ['Third.Name', '50%find@seek.example.com'],
    ] as const) {
      await register(service, { ...newDetails(), username, email });
    }
    const found = async (q: string) => usernames(await get(`?q=${encodeURIComponent(q)}`));
    const all = ['Find_one', 'findXone', 'Third.Name'];
    t.strictSame(await found('FIND'), all, 'in names and addresses, in the order of registration');
    t.strictSame(await found('@sEEK.'), all);
    t.strictSame(await found('d_o'), ['Find_one']);
    t.strictSame(await found('0%f'), ['Third.Name']);
    t.strictSame(await found('%'), ['Third.Name']);
    t.strictSame(await found('rd.n'), ['Third.Name']);
    for (const q of ['\\', 'find\\', '\\_', '__', '%%', "' or 1=1 --", 'fınd', ' ', 'nobody at all']) t.strictSame(await found(q), [], q);
    t.strictSame(await found('argon2'), [], 'a hash is not searched');
    for (const query of [
      'q=a&q=',
      'role=',
      `q=${'x'.repeat(255)}`,
      'q=a&q=b',
      'limit=0',
      'limit=101',
      'limit=1e1',
      'cursor=x',
      `cursor=urn:uuid:${nobody}`,
      'role=admin',
      'offset=1',
    ]) {
      refused(t, await get(`?${query}`), 400, 'validation_failed', query.slice(0, 50));
    }
    const everybody = usernames(await get(''));
    for (const query of ['q=', 'q=&limit=&cursor=']) t.strictSame(usernames(await get(`?${query}`)), everybody, query);
    for (const query of ['q=%00', 'q=a%00b']) t.equal((await get(`?${query}`)).status, 400, query);
    t.ok((await get('?q=%FF')).status < 500);
  });

  t.test('users come page by page, without gap or duplicate, while others register', async (t) => {
    const whole = usernames(await get('?limit=100'));
    const paged: string[] = [];
    let cursor: string | null = null;
    do {
      const page: Answer = await get(`?limit=2${cursor === null ? '' : `&cursor=${cursor}`}`);
      t.match(page.headers, { 'content-type': /^application\/json/, 'cache-control': 'no-store' });
      t.strictSame(Object.keys(page.body), ['users', 'nextCursor']);
      if (paged.length < 4) whole.push((await register(service)).username);
      paged.push(...usernames(page));
      cursor = page.body.nextCursor;
    } while (cursor !== null);
    t.strictSame(paged, whole);
    t.equal((await get('')).body.users.length, whole.length, '50 by default, which are enough here');
    t.equal((await get('?q=example&limit=1')).body.users.length, 1);
  });

  t.test('a user is shown with all that concerns an administrator, and no hash', async (t) => {
    const person = await register(service);
    const { status, body, text } = await get(`/${person.id}`);
    t.equal(status, 200);
    t.strictSame(Object.keys(body.user), ['id', 'email', 'username', 'role', 'confirmed', 'createdAt', 'disabled']);
    t.match(body.user, { id: person.id, email: person.email, role: 'user', confirmed: false, disabled: false });
    t.strictSame((await get(`?q=${person.username}&limit=1`)).body.users[0].id.length, 36);
    t.strictSame((await get(`/${person.id.toUpperCase()}`)).body, body, 'an id in capitals');
    const list = (await get('?limit=100')).text;
    for (const answer of [text, list, (await patch(person.id, { confirmed: true })).text, (await get(`/${person.id}/events`)).text]) {
      t.notMatch(answer, /argon2|password_?hash|\$v=/i);
    }
  });

  t.test('an id that nobody has, and one that is none', async (t) => {
    const requests: ((id: string) => Promise<Answer>)[] = [
      (id) => get(`/${id}`),
      (id) => patch(id, { disabled: true }),
      (id) => remove(id),
      (id) => get(`/${id}/events`),
      (id) => remove(`${id}/sessions`),
    ];
    for (const request of requests) {
      refused(t, await request(nobody), 404, 'not_found');
      refused(t, await request(randomUUID()), 404, 'not_found');
      for (const id of malformed) {
        const answer = await request(id);
        t.match([answer.status, answer.headers['content-type']], [400, /^application\/problem\+json/], id);
      }
    }
    refused(t, await patch(nobody, { role: 'nonsense' }), 404, 'not_found', 'the user comes first');
  });

  t.test('a user is confirmed, disabled, enabled, and gets another role, all of it or nothing', async (t) => {
    const person = await register(service);
    const fresh = await logIn(service, person);
    t.match((await patch(person.id, { confirmed: true })).body.user, { confirmed: true, disabled: false, role: 'user' });
    t.equal((await service.get('/secret', { token: fresh })).status, 200, 'in the session from before');
    const confirmed = await row(person);
    const unchanging = [{}, { confirmed: true }, { disabled: false }, { role: 'user' }, { confirmed: true, disabled: false, role: 'user' }];
    for (const body of unchanging) t.equal((await patch(person.id, body)).status, 200, JSON.stringify(body));
    t.same(await row(person), confirmed, 'what they are already is no change');
    t.equal((await service.get('/secret', { token: fresh })).status, 200, 'and ends no session');

    const refusals: [unknown, string][] = [
      [{ disabled: true, role: 'nonsense' }, '/role'],
      [{ role: 'Admin' }, '/role'],
      [{ role: '' }, '/role'],
      [{ role: null }, '/role'],
      [{ role: ['admin'] }, '/role'],
      [{ role: `${'x'.repeat(5000)}` }, '/role'],
      [{ disabled: 'true' }, '/disabled'],
      [{ disabled: 1 }, '/disabled'],
      [{ disabled: null }, '/disabled'],
      [{ confirmed: false }, '/confirmed'],
      [{ confirmed: false, disabled: true }, '/confirmed'],
      [{ confirmed: null }, '/confirmed'],
      [{ disabled: true, username: 'other' }, ''],
      [{ disabled: true, passwordHash: 'x' }, ''],
      [{ email: 'other@example.com' }, ''],
    ];
    for (const [body, pointer] of refusals) {
      const answer = await patch(person.id, body);
      refused(t, answer, 400, 'validation_failed', JSON.stringify(body).slice(0, 60));
      t.equal(answer.body.errors[0].pointer, pointer);
    }
    refused(t, await patch(person.id), 400, 'validation_failed', 'no body');
    refused(t, await patch(person.id, { role: 'admin\u0000' }), 400, 'malformed_request');
    t.same(await row(person), confirmed);

    const both = await patch(person.id, { disabled: true, role: 'admin' });
    t.match(both.body.user, { disabled: true, role: 'admin' });
    t.match((await patch(person.id, { disabled: false, role: 'user' })).body.user, { disabled: false, role: 'user' });
    const own = (await eventTypes(person)).filter((type) => /disabled|enabled|role|confirmed|sessions/.test(type));
    t.strictSame(own.toSorted(), ['confirmed', 'disabled', 'enabled', 'role_changed', 'role_changed', 'sessions_ended']);
  });

  async function assertShutOut(t: Test, { accessToken, refreshToken }: { accessToken: string; refreshToken: string }) {
    refused(t, await service.get('/secret', { token: accessToken }), 401, 'unauthenticated');
    refused(t, await service.post('/auth/refresh', { refreshToken }), 401, 'invalid_refresh_token');
  }

  t.test('L11: who is disabled is out at once, until enabled again', async (t) => {
    const person = await confirmedPerson(service);
    const session = await openSession(service, person);
    t.match((await patch(person.id, { disabled: true })).body.user, { disabled: true });
    await assertShutOut(t, session);
    refused(t, await service.post('/auth/login', person && { email: person.email, password: person.password }), 401, 'invalid_credentials');
    t.match((await patch(person.id, { disabled: false })).body.user, { disabled: false });
    await assertShutOut(t, session);
    t.equal((await service.get('/secret', { token: await logIn(service, person) })).status, 200);
  });

  t.test('all sessions of a user end', async (t) => {
    const person = await confirmedPerson(service);
    const session = await openSession(service, person);
    t.equal((await remove(`${person.id}/sessions`)).status, 204);
    await assertShutOut(t, session);
    t.equal(await tables.$count(sessions, eq(sessions.userId, person.id)), 0);
    t.equal((await remove(`${person.id}/sessions`)).status, 204, 'if there are none, that is as well');
    t.equal((await eventTypes(person)).filter((type) => type === 'sessions_ended').length, 1, 'but nothing has happened');
    t.equal((await service.get('/secret', { token: await logIn(service, person) })).status, 200);
  });

  t.test('L11: a user is deleted with all that belongs to them', async (t) => {
    const details = newDetails();
    const person = await register(service, details);
    const session = await openSession(service, person);
    const link = await confirmationPath(service, person);
    const answer = await remove(person.id);
    t.match([answer.status, answer.text], [204, '']);
    for (const table of [sessions, events, mails]) t.equal(await tables.$count(table, eq(table.userId, person.id)), 0);
    refused(t, await service.get('/auth/me', { token: session.accessToken }), 401, 'unauthenticated');
    refused(t, await service.get(link), 400, 'invalid_token');
    refused(t, await remove(person.id), 404, 'not_found', 'once more');
    const line = service.log.map((each) => JSON.parse(each)).find(({ userId }) => userId === person.id);
    t.match(line, { userId: person.id, actorId: admin.id }, 'the log tells who did it');
    t.equal((await service.post('/auth/register', details)).status, 201, 'the names are free');
  });

  t.test('X06: the events of a user tell administrators, and nobody else, which of them it was', async (t) => {
    const person = await confirmedPerson(service);
    await outboxEmpty(tables);
    for (const body of [{ disabled: true }, { disabled: false }, { role: 'admin' }]) await patch(person.id, body);
    const after = await logIn(service, person);
    const { body } = await get(`/${person.id}/events?limit=100`);
    t.strictSame(Object.keys(body), ['events', 'nextCursor']);
    const byAdministrator = /^(disabled|enabled|role_changed|sessions_ended)$/;
    for (const event of body.events) {
      t.strictSame(Object.keys(event), ['id', 'type', 'at', 'ip', 'userAgent', 'actorId']);
      if (byAdministrator.test(event.type)) t.match(event, { actorId: admin.id, ip: null, userAgent: null }, event.type);
      else t.equal(event.actorId, null, event.type);
    }
    t.equal(body.events.filter(({ type }: { type: string }) => byAdministrator.test(type)).length, 4);
    const shown = await service.get('/auth/events?limit=100', { token: after });
    t.strictSame(
      shown.body.events.map(({ type }: { type: string }) => type),
      body.events.map(({ type }: { type: string }) => type),
    );
    t.notOk(shown.text.includes(admin.id), 'the owner does not learn who');
    const page = (await get(`/${person.id}/events?limit=2`)).body;
    const next = (await get(`/${person.id}/events?limit=2&cursor=${page.nextCursor}`)).body;
    t.strictSame([...page.events, ...next.events], body.events.slice(0, 4));
    refused(t, await get(`/${person.id}/events?limit=0`), 400, 'validation_failed');
    t.equal((await patch(person.id, { role: 'user' })).status, 200);
  });

  t.test('the last administrator stays one, by their own hand, too', async (t) => {
    const attempts: [string, () => Promise<Answer>][] = [
      ['disable', () => patch(admin.id, { disabled: true })],
      ['demote', () => patch(admin.id, { role: 'user' })],
      ['both', () => patch(admin.id, { disabled: true, role: 'user' })],
      ['delete', () => remove(admin.id)],
    ];
    t.equal(await tables.$count(users, eq(users.role, 'admin')), 1);
    for (const [what, attempt] of attempts) refused(t, await attempt(), 409, 'last_administrator', what);
    const disabled = await confirmedPerson(service);
    await patch(disabled.id, { role: 'admin', disabled: true });
    for (const [what, attempt] of attempts)
      refused(t, await attempt(), 409, 'last_administrator', `${what}: a disabled one does not count`);
    t.equal((await patch(admin.id, { role: 'admin', disabled: false, confirmed: true })).status, 200, 'what they are');
    t.match(await row(admin), { role: 'admin', disabledAt: null });
    const changes = and(eq(events.userId, admin.id), eq(events.type, 'disabled'));
    t.equal(await tables.$count(events, changes), 0);

    await patch(disabled.id, { disabled: false });
    t.match((await patch(admin.id, { role: 'user' })).body.user, { role: 'user' }, 'once there is another');
    refused(t, await get(''), 401, 'unauthenticated', 'and then the session is over');
  });
});
