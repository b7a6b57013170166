import { eq } from 'drizzle-orm';
import t from 'tap';
import { users } from '../../src/db/schema.ts';
import { findUserById, replacePasswordHash } from '../../src/identity/users.ts';
import { logIn, register } from '../support/person.ts';
import { refused } from '../support/refusal.ts';
import { startInstance, startService } from '../support/service.ts';
import { openTables } from '../support/tables.ts';

t.test('L10: a login upgrades a hash that was made with weaker parameters', async (t) => {
  const before = await startService(t);
  const person = await register(before);
  const bystander = await register(before);
  await before.app.close();

  const env = { ...before.env, ARGON2_PASSES: '2', ARGON2_MEMORY_KIB: '16' };
  const service = await startInstance(t, env);
  const tables = openTables(t, { env });
  const row = async ({ id } = person) => (await tables.select().from(users).where(eq(users.id, id)))[0];
  const old = await findUserById(tables, person.id);
  t.match(old?.passwordHash, /\$m=8,t=1,/);

  refused(t, await service.post('/auth/login', { email: person.email, password: 'not the password' }), 401, 'invalid_credentials');
  t.equal((await row())?.passwordHash, old?.passwordHash, 'a wrong password changes nothing');

  t.type(await logIn(service, person), 'string');
  const upgraded = await row();
  t.match(upgraded?.passwordHash, /\$m=16,t=2,/);
  t.equal(upgraded?.credentialVersion, old?.credentialVersion, 'the password is the same, and so is its version');
  t.type(await logIn(service, person), 'string', 'the password still works');
  t.equal((await row())?.passwordHash, upgraded?.passwordHash, 'a hash that is strong enough stays');
  t.match((await row(bystander))?.passwordHash, /\$m=8,t=1,/);

  if (old === undefined) throw new Error('the account is gone');
  await replacePasswordHash(tables, old, 'a hash of the password that was checked');
  t.equal((await row())?.passwordHash, upgraded?.passwordHash, 'a hash that has been replaced meanwhile stays');
});
