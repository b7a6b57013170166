import t from 'tap';
import { inTurn } from '../support/networks.ts';
import { logIn, newDetails, type Person, register } from '../support/person.ts';
import { refused } from '../support/refusal.ts';
import { type Service, startService } from '../support/service.ts';
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
