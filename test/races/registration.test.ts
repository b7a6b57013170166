import { eq, or } from 'drizzle-orm';
import t from 'tap';
import { mails, users } from '../../src/db/schema.ts';
import { onServer } from '../support/database.ts';
import { outboxEmpty } from '../support/held-clock.ts';
import { newDetails } from '../support/person.ts';
import { openTables } from '../support/tables.ts';
import { allAtOnce, startTwoInstances, tally } from '../support/two-instances.ts';

t.test('registrations in parallel', { skip: !onServer && 'needs a PostgreSQL server' }, async (t) => {
  const { service, instances } = await startTwoInstances(t);
  const tables = openTables(t, service);
  const mailsTo = (address: string) => service.mailServer.received.filter(({ recipients }) => recipients.includes(address)).length;

  t.test('R10: of one address and name make one account, with one mail and one password', async (t) => {
    const { email, username } = newDetails();
    const passwords = Array.from({ length: 50 }, (_, index) => `the secret of racer ${index}`);
    const answers = await allAtOnce(50, instances, (instance, index) =>
      instance.post('/auth/register', { email, username, password: passwords[index] }),
    );
    t.strictSame(tally(answers), { 201: 1, 409: 49 });
    for (const { status, body } of answers) {
      if (status === 409) t.match(body, { code: 'email_taken', errors: [{ pointer: '/email' }, { pointer: '/username' }] });
    }
    t.equal(await tables.$count(users, or(eq(users.emailCanonical, email), eq(users.usernameCanonical, username))), 1);
    await outboxEmpty(tables);
    t.equal(mailsTo(email), 1);
    t.equal(await tables.$count(mails, eq(mails.recipient, email)), 1);

    const logins = await allAtOnce(50, instances, (instance, index) => instance.post('/auth/login', { email, password: passwords[index] }));
    t.strictSame(tally(logins), { 200: 1, 401: 49 });
    const winner = answers.findIndex(({ status }) => status === 201);
    t.equal(logins[winner]?.status, 200, "the winner's password works");
  });

  t.test('R11: of one name by different people leave nothing of the losers', async (t) => {
    const { username, password } = newDetails();
    const addresses = Array.from({ length: 20 }, () => newDetails().email);
    const answers = await allAtOnce(20, instances, (instance, index) =>
      instance.post('/auth/register', { email: addresses[index], username: index % 3 ? username : username.toUpperCase(), password }),
    );
    t.strictSame(tally(answers), { 201: 1, 409: 19 });
    for (const { status, body } of answers) {
      if (status === 409) t.match(body, { code: 'username_taken', errors: [{ pointer: '/username', code: 'username_taken' }] });
    }
    await outboxEmpty(tables);
    for (const [index, address] of addresses.entries()) {
      const expected = answers[index]?.status === 201 ? 1 : 0;
      t.same([await tables.$count(users, eq(users.emailCanonical, address)), mailsTo(address)], [expected, expected], address);
    }
  });

  t.test('R10: of one address in different cases make one account', async (t) => {
    const { email, password } = newDetails();
    const answers = await allAtOnce(20, instances, (instance, index) =>
      instance.post('/auth/register', { email: index % 2 ? email : email.toUpperCase(), username: newDetails().username, password }),
    );
    t.strictSame(tally(answers), { 201: 1, 409: 19 });
    t.equal(await tables.$count(users, eq(users.emailCanonical, email)), 1);
  });
});
