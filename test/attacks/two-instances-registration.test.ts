import { eq, or } from 'drizzle-orm';
import t from 'tap';
import { mails, users } from '../../src/db/schema.ts';
import { onServer } from '../support/database.ts';
import { outboxEmpty } from '../support/held-clock.ts';
import { startTwoHttpInstances } from '../support/http.ts';
import { confirmationToken, newDetails } from '../support/person.ts';
import { openTables } from '../support/tables.ts';
import { allAtOnce, tally } from '../support/two-instances.ts';

t.test('registrations of one name, at once and on two instances', { skip: !onServer && 'needs a PostgreSQL server' }, async (t) => {
  const { service, instances } = await startTwoHttpInstances(t, { RATE_LIMIT: 'off' });
  const tables = openTables(t, service);
  const mailsTo = (address: string) =>
    service.mailServer.received.filter(({ recipients }) => recipients.some((each) => each.toLowerCase() === address)).length;

  t.test('R10 of 50 with one address and name one makes an account, with one mail and one password', async (t) => {
    const { email, username } = newDetails();
    const passwords = Array.from({ length: 50 }, (_, index) => `what only number ${index} knows`);
    // In both cases, since a name is the same in either.
    const named = (index: number) =>
      index % 4 < 2 ? { email, username } : { email: email.toUpperCase(), username: username.toUpperCase() };
    const answers = await allAtOnce(50, instances, (instance, index) =>
      instance.post('/auth/register', { ...named(index), password: passwords[index] }),
    );
    t.strictSame(tally(answers), { 201: 1, 409: 49 });
    const winner = answers.findIndex(({ status }) => status === 201);
    for (const answer of answers.toSpliced(winner, 1)) {
      t.match(answer.body, { code: 'email_taken', errors: [{ pointer: '/email' }, { pointer: '/username' }] });
    }
    const rows = await tables
      .select()
      .from(users)
      .where(or(eq(users.emailCanonical, email), eq(users.usernameCanonical, username)));
    t.strictSame(
      rows.map(({ id }) => id),
      [answers[winner]?.body.user.id],
      'there is one row',
    );
    await outboxEmpty(tables);
    t.equal(mailsTo(email), 1, 'and one mail');
    t.equal(await tables.$count(mails, eq(mails.userId, rows[0]?.id ?? '')), 1);

    const logins = await allAtOnce(50, instances, (instance, index) => instance.post('/auth/login', { email, password: passwords[index] }));
    t.strictSame(tally(logins), { 200: 1, 401: 49 });
    t.equal(logins[winner]?.status, 200, 'the password of the one that was told so works');
    const token = await confirmationToken(service, { email });
    const confirmation = await instances[1].post('/auth/confirm', { token, password: passwords[winner] });
    t.match(confirmation, { status: 200, body: { status: 'confirmed' } }, 'and so does the mail');
  });

  t.test('R11 of 20 with one name and addresses of their own one wins, and nothing is left of the others', async (t) => {
    const { username, password } = newDetails();
    const addresses = Array.from({ length: 20 }, () => newDetails().email);
    const answers = await allAtOnce(20, instances, (instance, index) =>
      instance.post('/auth/register', { email: addresses[index], username: index % 4 < 2 ? username : username.toUpperCase(), password }),
    );
    t.strictSame(tally(answers), { 201: 1, 409: 19 });
    await outboxEmpty(tables);
    for (const [index, email] of addresses.entries()) {
      const { status, body } = answers[index] ?? { status: 0, body: {} };
      const isWinner = status === 201;
      if (!isWinner) t.match(body, { code: 'username_taken', errors: [{ pointer: '/username', code: 'username_taken' }] });
      const found = [
        await tables.$count(users, eq(users.emailCanonical, email)),
        await tables.$count(mails, eq(mails.recipient, email)),
        mailsTo(email),
      ];
      t.strictSame(found, isWinner ? [1, 1, 1] : [0, 0, 0], email);
    }
    const winner = answers.findIndex(({ status }) => status === 201);
    const loser = addresses[(winner + 1) % 20];
    t.equal((await instances[0].post('/auth/register', { ...newDetails(), email: loser })).status, 201, 'who lost may take another name');
  });
});
