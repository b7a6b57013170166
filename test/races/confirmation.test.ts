import { eq } from 'drizzle-orm';
import t from 'tap';
import { mails } from '../../src/db/schema.ts';
import { onServer } from '../support/database.ts';
import { leap, outboxEmpty } from '../support/held-clock.ts';
import { confirmationPath, confirmationToken, logIn, register } from '../support/person.ts';
import { openTables } from '../support/tables.ts';
import { allAtOnce, startTwoInstances, tally } from '../support/two-instances.ts';

t.test('confirmations and mails in parallel', { skip: !onServer && 'needs a PostgreSQL server' }, async (t) => {
  const { service, instances } = await startTwoInstances(t);
  const tables = openTables(t, service);

  t.test('C03: of 20 confirmations one changes the account, and the others find it changed', async (t) => {
    const person = await register(service);
    const token = await logIn(service, person);
    const path = await confirmationPath(service, person);
    const body = { token: await confirmationToken(service, person), password: person.password };
    const answers = await allAtOnce(20, instances, (instance, index) =>
      index % 4 < 2 ? instance.get(path, { token }) : instance.post('/auth/confirm', body),
    );
    t.strictSame(tally(answers), { 200: 20 });
    t.equal(answers.filter((answer) => answer.body.status === 'confirmed').length, 1);
    t.equal(answers.filter((answer) => answer.body.status === 'already_confirmed').length, 19);
    for (const instance of instances) t.equal((await instance.get('/secret', { token })).status, 200, 'on either instance');
  });

  t.test('S05: of 20 requests for another mail one sends it', async (t) => {
    await leap(service.clock, tables, 0);
    const person = await register(service);
    const token = await logIn(service, person);
    await leap(service.clock, tables, 60);
    const answers = await allAtOnce(20, instances, (instance) => instance.post('/auth/confirm/resend', undefined, { token }));
    t.strictSame(tally(answers), { 202: 1, 429: 19 });
    for (const { status, headers, body } of answers) {
      if (status === 429) t.match([body.code, headers['retry-after']], ['rate_limited', '60']);
    }
    t.ok(await service.mailServer.mailTo(person.email, 2));
    t.equal(await tables.$count(mails, eq(mails.userId, person.id)), 2);
    await outboxEmpty(tables);
    t.equal(service.mailServer.received.filter(({ recipients }) => recipients.includes(person.email)).length, 2);
  });
});
