import { and, eq } from 'drizzle-orm';
import t, { type Test } from 'tap';
import { mails, resetRequests } from '../../src/db/schema.ts';
import { eventually } from '../support/eventually.ts';
import { holdClock, leap, outboxEmpty } from '../support/held-clock.ts';
import { confirmedPerson, logIn, type Person, register, resetToken } from '../support/person.ts';
import { type Service, startInstance, startService } from '../support/service.ts';
import { openTables } from '../support/tables.ts';

function watch(t: Test, service: Service) {
  const tables = openTables(t, service);
  const answered = () => eventually('every request has been looked at', async () => (await tables.$count(resetRequests)) === 0, 20_000);
  const count = ({ id }: Pick<Person, 'id'>) => tables.$count(mails, and(eq(mails.userId, id), eq(mails.kind, 'password_reset')));
  const forgot = ({ email }: Pick<Person, 'email'>) => service.post('/auth/password/forgot', { email });
  return { tables, answered, count, forgot };
}

t.test('mails that reset the password, asked for again and again', async (t) => {
  const service = await startService(t, { ACCESS_TOKEN_TTL_SECONDS: '86400' });
  const { tables, answered, count, forgot } = watch(t, service);
  const { clock } = service;

  t.test('P14: come at most three times an hour, and lock nobody out', async (t) => {
    const victim = await confirmedPerson(service);
    const bystander = await register(service);
    await leap(clock, tables, 0);
    const answers = await Promise.all(Array.from({ length: 100 }, () => forgot(victim)));
    t.ok(answers.every(({ status }) => status === 202));
    t.equal(new Set(answers.map(({ text }) => text)).size, 1);
    await answered();
    t.equal(await count(victim), 3);
    t.ok(await logIn(service, victim), 'the account is not locked');
    t.equal((await service.get('/secret', { token: victim.token })).status, 200);
    await forgot(bystander);
    await answered();
    t.equal(await count(bystander), 1, 'another account gets its own');

    const last = (await service.mailServer.mailTo(victim.email, 4)).text?.match(/reset\/(\S+)/)?.[1];
    t.ok(last, 'the mails have come');
    await leap(clock, tables, 3599.999);
    await forgot(victim);
    await answered();
    t.equal(await count(victim), 3, 'a millisecond before the hour is over');
    await leap(clock, tables, 0.001);
    await Promise.all(Array.from({ length: 10 }, () => forgot(victim)));
    await answered();
    t.equal(await count(victim), 6, 'an hour later three more');
    await outboxEmpty(tables);
    t.equal(service.mailServer.received.filter(({ recipients }) => recipients.includes(victim.email)).length, 7);
  });

  t.test('all work until one is used, and then none does', async (t) => {
    const person = await register(service);
    const tokens: string[] = [];
    for (let sent = 0; sent < 3; sent += 1) {
      holdClock(clock, new Date(clock.now().getTime() + 1000));
      tokens.push(await resetToken(service, person));
    }
    t.equal(new Set(tokens).size, 3);
    const reset = (token = '') => service.post('/auth/password/reset', { token, newPassword: 'the other password' });
    t.equal((await reset(tokens[1])).status, 204);
    for (const token of tokens) t.match(await reset(token), { status: 410, body: { code: 'used_token' } });
  });

  t.test('are counted over a reset, too: having one is no licence for more', async (t) => {
    const person = await register(service);
    await leap(clock, tables, 0);
    let password = person.password;
    for (let turn = 0; turn < 3; turn += 1) {
      const token = await resetToken(service, person);
      password = `password number ${turn}`;
      t.equal((await service.post('/auth/password/reset', { token, newPassword: password })).status, 204);
    }
    await forgot(person);
    await answered();
    t.equal(await count(person), 3);
    t.ok(await logIn(service, { ...person, password }));
  });
});

t.test('with RATE_LIMIT=off there is no limit', async (t) => {
  const service = await startService(t, { RATE_LIMIT: 'off' });
  const { answered, count, forgot } = watch(t, service);
  const person = await register(service);
  await Promise.all(Array.from({ length: 12 }, () => forgot(person)));
  await answered();
  t.equal(await count(person), 12);
});

t.test('a request that was taken survives the end of the instance', async (t) => {
  const service = await startService(t);
  const person = await register(service);
  await service.mailServer.mailTo(person.email);
  t.equal((await service.post('/auth/password/forgot', { email: person.email })).status, 202);
  await service.app.close();
  const again = await startInstance(t, service.env, service.clock);
  const other = await register(again);
  // A request of its own wakes the new instance, which finds the older one first.
  await again.post('/auth/password/forgot', { email: other.email });
  t.ok(await service.mailServer.mailTo(person.email, 2));
  t.ok(await service.mailServer.mailTo(other.email, 2));
});
