import { eq } from 'drizzle-orm';
import t, { type Test } from 'tap';
import { events, sessions } from '../../src/db/schema.ts';
import { administratorOf } from '../support/administrator.ts';
import { behindProxy, clientAt } from '../support/networks.ts';
import { logIn, register } from '../support/person.ts';
import { type Service, startService } from '../support/service.ts';
import { openTables } from '../support/tables.ts';

/** What a proxy says of where a client is, and what its owner is told. */
const addresses = {
  '203.0.113.9': '203.0.113.9',
  '203.0.113.9:65535': '203.0.113.9',
  '2001:db8::1': '2001:db8::1',
  '[2001:0db8:1111:2222:3333:4444:5555:6666]:65535': '2001:0db8:1111:2222:3333:4444:5555:6666',
  '[2001:db8::1]': '2001:db8::1',
  '::ffff:203.0.113.9': '::ffff:203.0.113.9',
  _hidden: '_hidden',
  ['x'.repeat(46)]: 'x'.repeat(45),
  ['y'.repeat(5000)]: 'y'.repeat(45),
};

/** The addresses that the owner of a session reads, wherever they read of any, and an administrator of them. */
async function assertTold(t: Test, service: Service, { id, token }: { id: string; token: string }, ip: string): Promise<void> {
  const admin = { token: await administratorOf(service) };
  const own = async (path: string) => (await service.get(path, { token })).body;
  const logins = (body: { events: { type: string }[] }) => body.events.filter(({ type }) => type === 'logged_in');
  t.match((await own('/auth/sessions')).sessions, [{ ip }]);
  t.match(logins(await own('/auth/events')), [{ ip }]);
  t.match(logins((await service.get(`/admin/users/${id}/events`, admin)).body), [{ ip }]);
  const exported = await own('/auth/me/export');
  t.match(exported.sessions, [{ ip }]);
  t.match(logins(exported), [{ ip }]);
}

t.test('the address that a trusted proxy tells', async (t) => {
  const service = await startService(t, { ...behindProxy, RATE_LIMIT: 'off' });
  const tables = openTables(t, service);

  for (const [said, ip] of Object.entries(addresses)) {
    await t.test(`is told without a port, and never at any length: ${said.slice(0, 50)}`, async (t) => {
      const person = await register(service);
      await assertTold(t, service, { id: person.id, token: await logIn(clientAt(service, said), person) }, ip);
    });
  }

  await t.test('can be read from rows that have it at any length', async (t) => {
    const person = await register(service);
    const token = await logIn(service, person);
    const long = { ip: 'z'.repeat(500) };
    await tables.update(sessions).set(long).where(eq(sessions.userId, person.id));
    await tables.update(events).set(long).where(eq(events.userId, person.id));
    await assertTold(t, service, { id: person.id, token }, 'z'.repeat(45));
  });
});
