import { eq } from 'drizzle-orm';
import t from 'tap';
import { users } from '../../src/db/schema.ts';
import { onServer } from '../support/database.ts';
import { confirmedPerson, emailChangeToken, logIn } from '../support/person.ts';
import { refused } from '../support/refusal.ts';
import { openTables } from '../support/tables.ts';
import { allAtOnce, startTwoInstances, tally } from '../support/two-instances.ts';

t.test('changes of addresses in parallel', { skip: !onServer && 'needs a PostgreSQL server' }, async (t) => {
  const { service, instances } = await startTwoInstances(t);
  const [here, there] = instances;
  const tables = openTables(t, service);

  t.test('of 20 uses of one link one changes the address', async (t) => {
    const { token, password, email } = await confirmedPerson(service);
    const mailed = await emailChangeToken(service, { token, password }, `next.${email}`);
    const answers = await allAtOnce(20, instances, (instance, index) =>
      index % 4 < 2
        ? instance.get(`/auth/email/confirm/${mailed}`, { token })
        : instance.post('/auth/email/confirm', { token: mailed, password }),
    );
    t.strictSame(tally(answers), { 200: 1, 410: 19 });
    for (const answer of answers.filter(({ status }) => status === 410)) refused(t, answer, 410, 'used_token');
    t.ok(await logIn(service, { email: `next.${email}`, password }));
    const { events } = (await there.get('/auth/events?limit=100', { token })).body;
    t.equal(events.filter(({ type }: { type: string }) => type === 'email_changed').length, 1);
    await service.mailServer.mailTo(email, 3);
  });

  t.test('E04: of two accounts that confirm the same new address one gets it', async (t) => {
    for (let round = 0; round < 5; round += 1) {
      const people = [await confirmedPerson(service), await confirmedPerson(service)];
      const newEmail = `wanted.${people[0]?.email}`;
      const links: string[] = [];
      for (const person of people) links.push(await emailChangeToken(service, person, newEmail));
      const answers = await allAtOnce(2, instances, (instance, index) =>
        instance.get(`/auth/email/confirm/${links[index]}`, { token: people[index]?.token as string }),
      );
      t.strictSame(tally(answers), { 200: 1, 409: 1 });
      const loser = answers.findIndex(({ status }) => status === 409);
      refused(t, answers[loser] as (typeof answers)[0], 409, 'email_taken');
      t.match((await here.get('/auth/me', { token: people[loser]?.token as string })).body.user, { email: people[loser]?.email });
      t.equal(await tables.$count(users, eq(users.emailCanonical, newEmail)), 1);
    }
  });

  t.test('E04: of a registration and a confirmation for one address one gets it', async (t) => {
    for (let round = 0; round < 5; round += 1) {
      const { token, password, email, username } = await confirmedPerson(service);
      const newEmail = `wanted.${email}`;
      const mailed = await emailChangeToken(service, { token, password }, newEmail);
      const answers = await Promise.all([
        here.get(`/auth/email/confirm/${mailed}`, { token }),
        there.post('/auth/register', { email: newEmail, username: `r.${username}`, password: 'a password of its own' }),
      ]);
      const statuses = answers.map(({ status }) => status);
      t.ok(['200,409', '409,201'].includes(statuses.join()), statuses.join());
      t.equal(await tables.$count(users, eq(users.emailCanonical, newEmail)), 1);
    }
  });

  t.test('of 10 parallel requests five are granted, and every link but one is dead', async (t) => {
    const { token, password, email } = await confirmedPerson(service);
    const addresses = Array.from({ length: 10 }, (_, index) => `wanted${index}.${email}`);
    const answers = await allAtOnce(10, instances, (instance, index) =>
      instance.post('/auth/email', { newEmail: addresses[index], password }, { token }),
    );
    t.strictSame(tally(answers), { 202: 5, 429: 5 });
    const [row] = await tables.select().from(users).where(eq(users.email, email));
    const pending = row?.pendingEmail ?? '';
    t.ok(addresses.includes(pending));
    await service.mailServer.mailTo(pending);
    await service.mailServer.mailTo(email, 6);
    const links = service.mailServer.received.flatMap(({ text, recipients }) => {
      const [, mailed] = /\/auth\/email\/confirm\/(\S+)/.exec(text ?? '') ?? [];
      return mailed !== undefined && addresses.some((address) => recipients.includes(address)) ? [{ mailed, to: recipients[0] }] : [];
    });
    for (const { mailed } of links.filter(({ to }) => to !== pending)) {
      refused(t, await there.get(`/auth/email/confirm/${mailed}`, { token }), 410, 'used_token');
    }
    const last = links.find(({ to }) => to === pending);
    t.equal((await here.get(`/auth/email/confirm/${last?.mailed}`, { token })).body.user.email, pending);
  });
});
