import { randomUUID } from 'node:crypto';
import { eq } from 'drizzle-orm';
import t, { type Test } from 'tap';
import { sessions } from '../../src/db/schema.ts';
import type { Answer } from '../support/client.ts';
import { confirmedPerson, type Person, register } from '../support/person.ts';
import { refused } from '../support/refusal.ts';
import { startService } from '../support/service.ts';
import { openTables } from '../support/tables.ts';

/** User agents as they come, with what their owner is to be shown. */
const devices = {
  'Mozilla/5.0 (X11; Linux x86_64; rv:140.0) Gecko/20100101 Firefox/140.0': 'Firefox on Linux',
  'Mozilla/5.0 (Windows NT 10.0; Win64; x64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/142.0.0.0 Safari/537.36': 'Chrome on Windows',
  'Mozilla/5.0 (Macintosh; Intel Mac OS X 10_15_7) AppleWebKit/605.1.15 (KHTML, like Gecko) Version/26.0 Safari/605.1.15':
    'Safari on macOS',
  'Mozilla/5.0 (iPhone; CPU iPhone OS 18_6 like Mac OS X) AppleWebKit/605.1.15 (KHTML, like Gecko) Version/18.6 Mobile/15E148 Safari/604.1':
    'Safari on iOS',
};

t.test('the sessions of a user', async (t) => {
  const service = await startService(t);
  const tables = openTables(t, service);
  const { clock } = service;

  /** Opens a session as a client that calls itself so; each a second after the one before. */
  async function open({ email, password }: Person, headers: Record<string, string> = {}) {
    clock.advance({ seconds: 1 });
    const { status, body } = await service.post('/auth/login', { email, password }, { headers });
    if (status !== 200) throw new Error(`login answered ${status}`);
    return { id: body.session.id as string, token: body.accessToken as string, refreshToken: body.refreshToken as string, headers };
  }
  type Opened = Awaited<ReturnType<typeof open>>;

  const list = async ({ token, headers }: Opened) => (await service.get('/auth/sessions', { token, headers })).body.sessions;
  const ids = async (session: Opened): Promise<string[]> => (await list(session)).map(({ id }: { id: string }) => id);
  const end = ({ token, headers }: Opened, id = ''): Promise<Answer> =>
    service.request('DELETE', id === '' ? '/auth/sessions' : `/auth/sessions/${id}`, { token, headers });
  const refresh = ({ refreshToken, headers }: Opened) => service.post('/auth/refresh', { refreshToken }, { headers });

  async function assertDead(t: Test, session: Opened, what: string) {
    const { token, headers } = session;
    refused(t, await service.get('/auth/me', { token, headers }), 401, 'unauthenticated', `the access token of ${what}`);
    refused(t, await refresh(session), 401, 'invalid_refresh_token', `the refresh token of ${what}`);
  }
  async function assertAlive(t: Test, { token, headers }: Opened, what: string) {
    t.equal((await service.get('/auth/me', { token, headers })).status, 200, `alive: ${what}`);
  }

  t.test('F06: are listed for their owner alone, the one used last first, and tell nothing of tokens', async (t) => {
    const [person, other] = [await register(service), await register(service)];
    const [first, second, third] = [await open(person), await open(person), await open(person)];
    const theirs = await open(other);
    const answer = await service.get('/auth/sessions', { token: second.token });
    t.equal(answer.status, 200);
    t.match(answer.headers, { 'content-type': /^application\/json/, 'cache-control': 'no-store' });
    t.strictSame(Object.keys(answer.body), ['sessions']);
    t.strictSame(await ids(second), [third.id, second.id, first.id]);
    t.strictSame(await ids(theirs), [theirs.id]);
    for (const session of answer.body.sessions) {
      t.strictSame(Object.keys(session), ['id', 'createdAt', 'lastUsedAt', 'expiresAt', 'userAgent', 'device', 'ip', 'current']);
      t.equal(session.current, session.id === second.id);
      t.equal(session.ip, '127.0.0.1');
      t.equal(Date.parse(session.expiresAt) - Date.parse(session.createdAt), 30 * 24 * 3600_000);
    }
    for (const { token, refreshToken } of [first, second, third]) {
      for (const part of [refreshToken, ...token.split('.')]) t.notOk(answer.text.includes(part), 'no part of a token');
    }

    clock.advance({ minutes: 1 });
    t.equal((await refresh(first)).status, 200);
    t.strictSame(await ids(second), [first.id, third.id, second.id], 'a refresh is a use');
    const [used] = await list(second);
    t.equal(Date.parse(used.lastUsedAt) - Date.parse(used.createdAt) >= 60_000, true);
    refused(t, await service.get('/auth/sessions'), 401, 'unauthenticated', 'a list for nobody');
  });

  t.test('say in words which device they are on', async (t) => {
    const person = await register(service);
    for (const [userAgent, device] of Object.entries(devices)) {
      const [newest] = await list(await open(person, { 'user-agent': userAgent }));
      t.match(newest, { userAgent, device, current: true });
    }
    const [byCurl] = await list(await open(person, { 'user-agent': 'curl/8.15.0' }));
    t.equal(byCurl.userAgent, 'curl/8.15.0');
    t.match(byCurl.device ?? '', /^(curl.*)?$/i, 'nothing that it is not');
    for (const userAgent of ['x', '(((((', '<script>alert(1)</script>']) {
      const answer = await service.get('/auth/sessions', { ...(await open(person, { 'user-agent': userAgent })) });
      t.match([answer.status, answer.body.sessions[0]?.userAgent], [200, userAgent]);
    }
    const [long] = await list(await open(person, { 'user-agent': `Windows ${'x'.repeat(500)}/1 z` }));
    t.match([long.userAgent.length, long.device.length], [512, 512], 'the beginning of what is longer in words');
    const [silent] = await list(await open(person, { 'user-agent': '' }));
    t.equal(silent.device, null);
  });

  t.test('are listed no longer once they have grown idle', async (t) => {
    const person = await register(service);
    const idle = await open(person);
    t.strictSame(await ids(idle), [idle.id]);
    clock.advance({ days: 1 });
    const later = await open(person);
    t.strictSame(await ids(later), [later.id]);
  });

  t.test('end one by one, at once', async (t) => {
    for (const person of [await register(service), await confirmedPerson(service)]) {
      const [ended, current] = [await open(person), await open(person)];
      await assertAlive(t, ended, 'before');
      const answer = await end(current, ended.id);
      t.equal(answer.status, 204);
      t.equal(answer.text, '');
      t.equal(answer.headers['set-cookie'], undefined);
      await assertDead(t, ended, 'the one that was ended');
      await assertAlive(t, current, 'the one that ended it');
      t.notOk((await ids(current)).includes(ended.id));
      refused(t, await end(current, ended.id), 404, 'not_found', 'ending it once more');
    }
  });

  t.test("F06: end at the word of their owner only: another's is as unknown as any", async (t) => {
    const [ada, bob] = [await open(await register(service)), await open(await register(service))];
    const [theirs, unknown] = [await end(ada, bob.id), await end(ada, randomUUID())];
    refused(t, theirs, 404, 'not_found');
    refused(t, unknown, 404, 'not_found');
    t.equal(theirs.text, unknown.text);
    await assertAlive(t, bob, 'whom it was tried on');
    for (const id of ['x', '%20', `${bob.id}x`, bob.id.slice(1), "'--", '*']) {
      refused(t, await end(ada, encodeURIComponent(id)), 400, 'validation_failed', `the id ${id}`);
    }
    refused(t, await service.request('DELETE', `/auth/sessions/${bob.id}`), 401, 'unauthenticated', 'by nobody');
    t.equal((await end(bob, bob.id)).status, 204, 'by its owner');
  });

  t.test('end with the current one, as with a logout', async (t) => {
    const person = await register(service);
    const other = await open(person);
    for (const spelling of [(id: string) => id, (id: string) => id.toUpperCase()]) {
      const current = await open(person);
      const answer = await end(current, spelling(current.id));
      t.equal(answer.status, 204);
      const cleared = [answer.headers['set-cookie']].flat();
      t.match(cleared, [/^access=; .*Expires=Thu, 01 Jan 1970/, /^refresh=; .*Expires=Thu, 01 Jan 1970/]);
      await assertDead(t, current, 'the current one');
    }
    await assertAlive(t, other, 'the other');
  });

  t.test('end all but the current one', async (t) => {
    const [person, bystander] = [await confirmedPerson(service), await open(await register(service))];
    const [first, current, last] = [await open(person), await open(person), await open(person)];
    t.equal((await end(current)).status, 204);
    for (const session of [first, last]) await assertDead(t, session, 'another');
    await assertAlive(t, current, 'the current one');
    await assertAlive(t, bystander, 'of somebody else');
    t.strictSame(await ids(current), [current.id]);
    t.equal((await end(current)).status, 204, 'where there is no other');
    t.equal((await refresh(current)).status, 200);
    refused(t, await service.request('DELETE', '/auth/sessions'), 401, 'unauthenticated', 'by nobody');
  });

  t.test('F08: are 20 at most: who opens another loses the oldest one, at once', async (t) => {
    const person = await confirmedPerson(service);
    const [bystander, current] = [await open(await register(service)), await open(person)];
    await end(current);
    const opened = [current];
    while (opened.length < 20) opened.push(await open(person));
    for (const session of opened) await assertAlive(t, session, 'one of 20');
    t.equal((await ids(current)).length, 20);

    for (const oldest of opened.slice(0, 2)) {
      opened.push(await open(person));
      await assertDead(t, oldest, 'the oldest one');
    }
    const alive = opened.slice(2);
    for (const session of alive) await assertAlive(t, session, 'one of the newest 20');
    t.strictSame(await ids(opened[21] as Opened), alive.map(({ id }) => id).reverse());
    await assertAlive(t, bystander, 'of somebody else');
    const { events } = (await service.get('/auth/events?limit=100', { token: opened[21]?.token ?? '' })).body;
    const ends = events.filter(({ type }: { type: string }) => type === 'sessions_ended');
    t.equal(ends.length, 3, 'which its owner is told, as of those that were ended at first');
  });

  t.test('F08: that another clock has opened do not end the newest one', async (t) => {
    const person = await confirmedPerson(service);
    for (let opened = 0; opened < 20; opened += 1) await open(person);
    const ahead = new Date(clock.now().getTime() + 5 * 60_000);
    await tables.update(sessions).set({ createdAt: ahead }).where(eq(sessions.userId, person.id));
    const newest = await open(person);
    await assertAlive(t, newest, 'whoever has just logged in');
    t.equal((await ids(newest)).length, 20);
  });

  t.test('F08: that have ended by themselves do not count', async (t) => {
    const person = await confirmedPerson(service);
    const { email, password } = person;
    const { body } = await service.post('/auth/login', { email, password, rememberMe: true });
    for (let opened = 0; opened < 18; opened += 1) await open(person);
    clock.advance({ days: 2 });
    for (let opened = 0; opened < 19; opened += 1) await open(person);
    t.equal((await service.post('/auth/refresh', { refreshToken: body.refreshToken })).status, 200, 'the oldest one, which lives');
  });
});
