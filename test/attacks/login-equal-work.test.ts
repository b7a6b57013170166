import { eq } from 'drizzle-orm';
import t from 'tap';
import { users } from '../../src/db/schema.ts';
import { argon2UsesOf } from '../support/argon2-count.ts';
import { createClient } from '../support/client.ts';
import { startHttpService } from '../support/http.ts';
import { newDetails, register } from '../support/person.ts';
import { refused } from '../support/refusal.ts';
import { watchStatements } from '../support/statements.ts';
import { openTables } from '../support/tables.ts';

t.test('L02 a login that fails costs the same, whoever it was meant to be', async (t) => {
  const service = await startHttpService(t, { RATE_LIMIT: 'off' });
  const tables = openTables(t, service);
  const statementsOf = watchStatements(service.app.services.db);
  const inside = createClient(service.app);
  const [known, disabled, deleted] = [await register(service), await register(service), await register(service)];
  await tables.update(users).set({ disabledAt: service.clock.now() }).where(eq(users.id, disabled.id));
  await tables.delete(users).where(eq(users.id, deleted.id));
  const { email, username, password } = known;
  const unknown = newDetails();

  const attempts: Readonly<Record<string, object>> = {
    'wrong password, by address': { email, password: 'not the password' },
    'wrong password, by address in upper case': { email: email.toUpperCase(), password: 'not the password' },
    'wrong password, by name': { username, password: 'not the password' },
    'unknown address': { email: unknown.email, password },
    'unknown name': { username: unknown.username, password },
    'reserved name': { username: 'admin', password },
    'not an address': { email: 'x', password },
    'an address for a name': { username: email, password },
    'a name for an address': { email: username, password },
    'not a name': { username: '\u202e 💥', password },
    'disabled account': { email: disabled.email, password: disabled.password },
    'disabled account, by name': { username: disabled.username, password: disabled.password },
    'disabled account, wrong password': { email: disabled.email, password: 'not the password' },
    'deleted account': { email: deleted.email, password: deleted.password },
    'over-long password': { email, password: password.repeat(700) },
    'over-long password, unknown address': { email: unknown.email, password: password.repeat(700) },
    'over-long address': { email: `${'a'.repeat(12_000)}@example.com`, password },
    'over-long name': { username: 'n'.repeat(12_000), password },
    'short password': { email, password: 'x' },
    'with everything': { email: unknown.email, password, rememberMe: true, transport: 'bearer' },
  };

  const costs = new Set<string>();
  for (const [what, body] of Object.entries(attempts)) {
    const { result, uses } = await argon2UsesOf(() => service.post('/auth/login', body));
    refused(t, result, 401, 'invalid_credentials', what);
    t.strictSame(uses, [{ kind: 'verify', parameters: 'm=8,t=1,p=1' }], 'it costs one comparison, with the parameters of all hashes');
    const { statements } = await statementsOf(() => inside.post('/auth/login', body));
    // By address and by name one column differs.
    costs.add(JSON.stringify(statements.map((text) => text.replaceAll(/"(email|username)_canonical" = /g, '"name" = '))));
  }
  t.strictSame(
    [...costs].slice(1).map((cost) => [cost]),
    [],
    'the same statements in the same order',
  );
  const [statements] = [...costs].map((text) => JSON.parse(text));
  t.match(statements, [/^select .* from "users" where "users"\."name" = \$1$/], 'which is one: nothing is written, whoever it was');

  const { result, uses } = await argon2UsesOf(() => service.post('/auth/login', { email, password }));
  t.equal(result.status, 200, 'the right password costs no more');
  t.strictSame(uses, [{ kind: 'verify', parameters: 'm=8,t=1,p=1' }]);
  const success = await statementsOf(() => inside.post('/auth/login', { email, password }));
  t.ok(success.statements.length > 1, 'and more is done for it, which the count does see');
});

t.test('L02 an account that was never there is compared with the parameters that are configured', async (t) => {
  const service = await startHttpService(t, { RATE_LIMIT: 'off', ARGON2_MEMORY_KIB: '64', ARGON2_PASSES: '3' });
  const { email } = await register(service);
  for (const name of [email, newDetails().email]) {
    const { result, uses } = await argon2UsesOf(() => service.post('/auth/login', { email: name, password: 'not the password' }));
    refused(t, result, 401, 'invalid_credentials');
    t.strictSame(uses, [{ kind: 'verify', parameters: 'm=64,t=3,p=1' }]);
  }
});
