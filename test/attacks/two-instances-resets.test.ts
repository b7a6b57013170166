import t from 'tap';
import { onServer } from '../support/database.ts';
import { outboxEmpty } from '../support/held-clock.ts';
import { listening } from '../support/listening.ts';
import { confirmedPerson, openSession, register, resetToken } from '../support/person.ts';
import { refused } from '../support/refusal.ts';
import { openTables } from '../support/tables.ts';
import { allAtOnce, startTwoInstances, tally } from '../support/two-instances.ts';

t.test('resets on two instances at once', { skip: !onServer && 'needs a PostgreSQL server' }, async (t) => {
  const { service, instances } = await startTwoInstances(t, { RATE_LIMIT: 'off' });
  const [here, there] = [await listening(instances[0]), await listening(instances[1])];
  const listener = { ...service, ...here };
  const tables = openTables(t, service);
  const candidates = Array.from({ length: 20 }, (_, index) => `candidate number ${index}`);
  const mailsTo = (email: string) => service.mailServer.received.filter(({ recipients }) => recipients.includes(email));

  async function workingOf(email: string, passwords: readonly string[]): Promise<string[]> {
    const answers = await allAtOnce(passwords.length, [here, there], (instance, index) =>
      instance.post('/auth/login', { email, password: passwords[index] }),
    );
    return passwords.filter((_, index) => answers[index]?.status === 200);
  }

  await t.test('P08 of 20 with one token and different passwords one wins', async (t) => {
    const person = await confirmedPerson(listener);
    const held = await openSession(there, person);
    const token = await resetToken(listener, person);
    await outboxEmpty(tables);
    const before = mailsTo(person.email).length;
    const answers = await allAtOnce(20, [here, there], (instance, index) =>
      instance.post('/auth/password/reset', { token, newPassword: candidates[index] }),
    );
    t.strictSame(tally(answers), { 204: 1, 410: 19 });
    for (const answer of answers.filter(({ status }) => status === 410)) refused(t, answer, 410, 'used_token');
    const winner = candidates[answers.findIndex(({ status }) => status === 204)];
    t.strictSame(await workingOf(person.email, [...candidates, person.password]), [winner]);
    refused(t, await there.post('/auth/refresh', { refreshToken: held.refreshToken }), 401, 'invalid_refresh_token');
    await outboxEmpty(tables);
    t.equal(mailsTo(person.email).length - before, 1, 'one notice');
    for (const instance of [here, there]) {
      refused(t, await instance.post('/auth/password/reset', { token, newPassword: 'the last of all' }), 410, 'used_token');
    }
  });

  await t.test('P08 of several tokens for one account only one is used', async (t) => {
    const person = await register(here);
    const tokens: string[] = [];
    for (let count = 0; count < 3; count += 1) tokens.push(await resetToken(listener, person));
    const answers = await allAtOnce(18, [here, there], (instance, index) =>
      instance.post('/auth/password/reset', { token: tokens[index % tokens.length], newPassword: candidates[index] }),
    );
    t.strictSame(tally(answers), { 204: 1, 410: 17 });
    const winner = candidates[answers.findIndex(({ status }) => status === 204)];
    t.strictSame(await workingOf(person.email, [...candidates, person.password]), [winner]);
  });

  await t.test('P08 two accounts do not get in the way of each other', async (t) => {
    const [first, second] = [await confirmedPerson(listener), await confirmedPerson(listener)];
    const tokens = [await resetToken(listener, first), await resetToken(listener, second)];
    const answers = await allAtOnce(12, [here, there], (instance, index) =>
      instance.post('/auth/password/reset', { token: tokens[Math.floor(index / 6)], newPassword: candidates[index] }),
    );
    t.strictSame(tally(answers.slice(0, 6)), { 204: 1, 410: 5 });
    t.strictSame(tally(answers.slice(6)), { 204: 1, 410: 5 });
    for (const { email, password } of [first, second]) {
      t.equal((await workingOf(email, [...candidates, password])).length, 1);
    }
  });
});
