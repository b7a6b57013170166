import { eq } from 'drizzle-orm';
import t from 'tap';
import { users } from '../../src/db/schema.ts';
import { confirmationPath, logIn, register } from '../support/person.ts';
import { refused } from '../support/refusal.ts';
import { startService } from '../support/service.ts';
import { openTables } from '../support/tables.ts';

t.test('the account of a session is shown, read fresh, to its owner alone', async (t) => {
  const service = await startService(t);
  const tables = openTables(t, service);
  const [person, other] = [await register(service), await register(service)];
  const token = await logIn(service, person);
  const me = () => service.get('/auth/me', { token });

  refused(t, await service.get('/auth/me'), 401, 'unauthenticated');
  const first = await me();
  t.equal(first.status, 200);
  t.match(first.headers, { 'content-type': /^application\/json/, 'cache-control': 'no-store' });
  t.strictSame(Object.keys(first.body), ['user']);
  const { createdAt, ...user } = first.body.user;
  t.strictSame(user, { id: person.id, email: person.email, username: person.username, role: 'user', confirmed: false });
  t.ok(Math.abs(Date.parse(createdAt) - service.clock.now().getTime()) < 60_000);

  await service.get(await confirmationPath(service, person), { token });
  t.equal((await me()).body.user.confirmed, true, 'the token is the one from before');
  await tables.update(users).set({ username: 'renamed', usernameCanonical: 'renamed' }).where(eq(users.id, person.id));
  t.equal((await me()).body.user.username, 'renamed');
  t.equal((await service.get('/auth/me', { token: await logIn(service, other) })).body.user.id, other.id);
});
