import { eq } from 'drizzle-orm';
import t from 'tap';
import { users } from '../../src/db/schema.ts';
import { outboxEmpty } from '../support/held-clock.ts';
import { startHttpService } from '../support/http.ts';
import { confirmationToken, emailChangeToken, newDetails, openSession, register } from '../support/person.ts';
import { refused } from '../support/refusal.ts';
import { openTables } from '../support/tables.ts';

t.test('C09 a link proves one address of one account, and no other', async (t) => {
  const service = await startHttpService(t, { RATE_LIMIT: 'off' });
  const tables = openTables(t, service);
  async function newcomer(details = newDetails()) {
    const person = await register(service, details);
    return { ...person, link: await confirmationToken(service, person), ...(await openSession(service, person)) };
  }
  const confirmedAt = async ({ id }: { id: string }) => (await tables.select().from(users).where(eq(users.id, id)))[0]?.confirmedAt;
  /** Both ways to use a link. */
  const follow = (token: string, { accessToken, password }: { accessToken: string; password: string }) => [
    () => service.get(`/auth/confirm/${token}`, { token: accessToken }),
    () => service.post('/auth/confirm', { token, password }),
  ];

  t.test('C09 the link of an address that was changed is dead, and the new one stays as unconfirmed as it was', async (t) => {
    const who = await newcomer();
    // No request gives an account an address that is not confirmed thereby.
    const email = `b.${who.email}`;
    for (const changes of [{ email }, { email, emailCanonical: email }]) {
      await tables.update(users).set(changes).where(eq(users.id, who.id));
      for (const use of follow(who.link, who)) refused(t, await use(), 400, 'invalid_token');
      t.equal(await confirmedAt(who), null);
    }
    refused(t, await service.get('/secret', { token: who.accessToken }), 403, 'unconfirmed');
    await tables.update(users).set({ email: who.email, emailCanonical: who.email }).where(eq(users.id, who.id));
    t.match(
      await service.post('/auth/confirm', { token: who.link, password: who.password }),
      { status: 200 },
      'for its own address it works',
    );
  });

  t.test('C09 the same, when the address was changed by its owner', async (t) => {
    const who = await newcomer();
    const change = await emailChangeToken(service, { ...who, token: who.accessToken }, `b.${who.email}`);
    const changed = await service.get(`/auth/email/confirm/${change}`, { token: who.accessToken });
    t.match(changed, { status: 200, body: { user: { email: `b.${who.email}`, confirmed: true } } });
    const at = await confirmedAt(who);
    for (const use of follow(who.link, who)) refused(t, await use(), 400, 'invalid_token');
    t.strictSame(await confirmedAt(who), at);
    refused(t, await service.post('/auth/disown', { token: who.link }), 400, 'invalid_token');
  });

  t.test('C09 a change that was only asked for takes nothing from the link, and confirms nothing of the new address', async (t) => {
    const who = await newcomer();
    await emailChangeToken(service, { ...who, token: who.accessToken }, `b.${who.email}`);
    const answer = await service.get(`/auth/confirm/${who.link}`, { token: who.accessToken });
    t.match(answer, { status: 200, body: { status: 'confirmed', user: { email: who.email } } });
    t.match((await service.get('/auth/me', { token: who.accessToken })).body.user, { email: who.email, confirmed: true });
  });

  t.test('C09 the link of an account that is gone is dead for the next one with the same address and names', async (t) => {
    const old = await newcomer();
    const deletion = await service.post('/auth/me/deletion', { password: old.password }, { token: old.accessToken });
    t.equal(deletion.status, 204);
    const { email, username, password } = old;
    await outboxEmpty(tables);
    const id = (await register(service, { email, username, password })).id;
    const next = { id, password, ...(await openSession(service, old)) };
    for (const use of follow(old.link, next)) refused(t, await use(), 400, 'invalid_token');
    t.equal(await confirmedAt(next), null);
    const link = await confirmationToken(service, { email }, 2);
    t.match((await service.post('/auth/confirm', { token: link, password })).body, { status: 'confirmed' }, 'its own works');
  });

  t.test('C09 an address that went from one account to another takes no link along', async (t) => {
    const [one, other] = [await newcomer(), await newcomer()];
    const email = `moved.${one.email}`;
    await tables.update(users).set({ email, emailCanonical: email }).where(eq(users.id, one.id));
    await tables.update(users).set({ email: one.email, emailCanonical: one.email }).where(eq(users.id, other.id));
    for (const who of [one, other]) {
      for (const { link } of [one, other]) for (const use of follow(link, who)) t.ok((await use()).status >= 400);
      t.equal(await confirmedAt(who), null);
    }
  });
});
