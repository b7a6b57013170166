import { and, eq } from 'drizzle-orm';
import t from 'tap';
import { mails, resetRequests } from '../../src/db/schema.ts';
import { eventually } from '../support/eventually.ts';
import { inTurn, setUsed } from '../support/networks.ts';
import { logIn, newDetails, type Person, register, resetToken } from '../support/person.ts';
import { refused } from '../support/refusal.ts';
import { type Service, startService } from '../support/service.ts';
import { openTables } from '../support/tables.ts';
import { tally } from '../support/two-instances.ts';

const aliasOf = ({ email }: Pick<Person, 'email'>, detail: unknown) => email.replace('@', `+${detail}@`);

/** Opens accounts with an address and deletes them, each of which is a mail. */
async function useUp(service: Service, details: Omit<Person, 'id'>, times: number): Promise<void> {
  await inTurn(times, async () => {
    const token = await logIn(service, await register(service, details));
    await service.post('/auth/me/deletion', { password: details.password }, { token });
  });
}

t.test('mails to aliases of a mailbox', async (t) => {
  const service = await startService(t);

  t.test('are ten an hour for all together, and none of those of the plain address', async (t) => {
    const owner = newDetails();
    const invented = await inTurn(11, (index) => service.post('/auth/register', { ...newDetails(), email: aliasOf(owner, index) }));
    t.same(tally(invented), { 201: 10, 429: 1 });
    const empty = await service.post('/auth/register', { ...newDetails(), email: aliasOf(owner, '') });
    refused(t, empty, 429, 'rate_limited', 'the shortest is one, too');
    t.ok(await register(service, owner), 'the owner registers');
  });

  t.test('are not used up by those to the plain address', async (t) => {
    const owner = newDetails();
    await useUp(service, owner, 10);
    refused(t, await service.post('/auth/register', owner), 429, 'rate_limited');
    t.ok(await register(service, { ...newDetails(), email: aliasOf(owner, 'news') }));
  });
});

t.test('mails that reset the password of an account that nobody has confirmed', async (t) => {
  const service = await startService(t);
  const tables = openTables(t, service);

  t.test('R16: come to the owner of the address, whatever else whoever registered it has had mailed there', async (t) => {
    const mallorys = newDetails();
    await useUp(service, mallorys, 9);
    const session = await logIn(service, await register(service, mallorys));
    refused(t, await service.post('/auth/register', { ...newDetails(), email: mallorys.email }), 409, 'email_taken');
    service.clock.advance({ seconds: 61 });
    refused(t, await service.post('/auth/confirm/resend', undefined, { token: session }), 429, 'rate_limited', 'there are no more');
    const token = await resetToken(service, mallorys);
    t.equal((await service.post('/auth/password/reset', { token, newPassword: 'the password of the owner' })).status, 204);
    refused(t, await service.get('/auth/me', { token: session }), 401, 'unauthenticated');
  });

  /** Asks for a mail, and answers how many have come. */
  async function askFor(email: string): Promise<number> {
    t.equal((await service.post('/auth/password/forgot', { email })).status, 202);
    await eventually('it has been looked at', async () => (await tables.$count(resetRequests)) === 0);
    return tables.$count(mails, and(eq(mails.recipient, email), eq(mails.kind, 'password_reset')));
  }

  t.test('are limited for the address, however often an account is opened with it', async (t) => {
    const { email } = await register(service);
    t.equal(await askFor(email), 1);
    await setUsed(tables, 'recipient-reset', 10);
    t.equal(await askFor(email), 1, 'the hour’s are used up');
    service.clock.advance({ hours: 1, seconds: 1 });
    t.equal(await askFor(email), 2);
  });

  t.test('are limited for the aliases of a mailbox by the day, too, and for no plain address', async (t) => {
    const { email } = await register(service);
    const alias = aliasOf({ email }, 'news');
    await register(service, { ...newDetails(), email: alias });
    t.same([await askFor(email), await askFor(alias)], [1, 1]);
    await setUsed(tables, 'recipient-reset-day', 20);
    service.clock.advance({ hours: 1, seconds: 1 });
    t.same([await askFor(email), await askFor(alias)], [2, 1]);
    service.clock.advance({ days: 1 });
    t.equal(await askFor(alias), 2);
  });

  t.test('count for the day when they are sent, and not when they are refused', async (t) => {
    const alias = aliasOf(await register(service), 'sales');
    await register(service, { ...newDetails(), email: alias });
    t.equal(await askFor(alias), 1);
    await setUsed(tables, 'recipient-reset-day', 18);
    await setUsed(tables, 'recipient-reset', 10);
    for (let count = 0; count < 3; count += 1) t.equal(await askFor(alias), 1, 'the hour’s are used up');
    service.clock.advance({ hours: 1, seconds: 1 });
    t.equal(await askFor(alias), 2);
  });
});
