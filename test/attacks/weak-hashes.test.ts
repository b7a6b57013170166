import { EventEmitter, once } from 'node:events';
import { eq } from 'drizzle-orm';
import t from 'tap';
import { users } from '../../src/db/schema.ts';
import { createHttpClient, startHttpService } from '../support/http.ts';
import { logIn, newDetails, openSession, register } from '../support/person.ts';
import { refused } from '../support/refusal.ts';
import { startInstance } from '../support/service.ts';
import { openTables } from '../support/tables.ts';

t.test('L10 a login makes a weak hash stronger, and never brings an old password back', async (t) => {
  const before = await startHttpService(t, { RATE_LIMIT: 'off' });
  const [person, busy, mover] = [await register(before), await register(before), await register(before)];
  const [held, other] = [await openSession(before, busy), await openSession(before, mover)];
  await before.app.close();

  const env = { ...before.env, ARGON2_PASSES: '2', ARGON2_MEMORY_KIB: '16' };
  const instance = await startInstance(t, env, before.clock);
  const service = createHttpClient(await instance.listen());
  const tables = openTables(t, { env });
  const hashOf = async ({ id }: { id: string }) => (await tables.select().from(users).where(eq(users.id, id)))[0]?.passwordHash;

  const old = await hashOf(person);
  t.match(old, /^\$argon2id\$v=19\$m=8,t=1,p=1\$/);
  refused(t, await service.post('/auth/login', { email: person.email, password: 'not the password' }), 401, 'invalid_credentials');
  t.equal(await hashOf(person), old, 'a wrong password changes nothing');
  const logins = await Promise.all(
    Array.from({ length: 10 }, (_, index) => {
      const { email, username, password } = person;
      return service.post('/auth/login', index % 2 ? { email, password } : { username, password });
    }),
  );
  t.strictSame(
    logins.map(({ status }) => status),
    Array(10).fill(200),
    'ten at once all get in',
  );
  const upgraded = await hashOf(person);
  t.match(upgraded, /^\$argon2id\$v=19\$m=16,t=2,p=1\$/);
  t.type(await logIn(service, person), 'string', 'the password is the same');
  t.equal(await hashOf(person), upgraded, 'and the hash stays');

  /** Keeps whoever logs in with a password waiting at the point where its new hash has been made, but not written. */
  const { hasher } = instance.app.services;
  const hash = hasher.hash.bind(hasher);
  function holdHashOf(password: string) {
    const events = new EventEmitter();
    const [reached, released] = [once(events, 'reached'), once(events, 'released')];
    hasher.hash = async (each) => {
      const made = await hash(each);
      if (each !== password) return made;
      events.emit('reached');
      await released;
      return made;
    };
    return { reached, release: () => events.emit('released') };
  }

  const hold = holdHashOf(busy.password);
  const login = service.post('/auth/login', { email: busy.email, password: busy.password });
  await hold.reached;
  const newPassword = 'set while somebody was logging in';
  const body = { currentPassword: busy.password, newPassword };
  t.equal((await service.request('PUT', '/auth/password', { token: held.accessToken, body })).status, 204);
  const changed = await hashOf(busy);
  hold.release();
  refused(t, await login, 401, 'invalid_credentials', 'a login with what is no longer the password');
  t.equal(await hashOf(busy), changed, 'the new password stays');
  refused(t, await service.post('/auth/login', { email: busy.email, password: busy.password }), 401, 'invalid_credentials', 'the old one');
  t.equal((await service.post('/auth/login', { email: busy.email, password: newPassword })).status, 200, 'the new one');

  const second = holdHashOf(mover.password);
  const late = service.post('/auth/login', { email: mover.email, password: mover.password });
  await second.reached;
  const deletion = await service.post('/auth/me/deletion', { password: mover.password }, { token: other.accessToken });
  t.equal(deletion.status, 204);
  second.release();
  refused(t, await late, 401, 'invalid_credentials', 'a login to an account that has gone meanwhile');
  t.equal(await hashOf(mover), undefined, 'which stays gone');
  t.equal((await service.post('/auth/register', { ...newDetails(), email: mover.email })).status, 201);
});
