import { eq } from 'drizzle-orm';
import t, { type Test } from 'tap';
import { disownedAddresses, mails, sessions, users } from '../../src/db/schema.ts';
import type { Answer } from '../support/client.ts';
import { onServer } from '../support/database.ts';
import { eventually } from '../support/eventually.ts';
import { disownPath, openBrowser } from '../support/pages.ts';
import { confirmationPath, logIn, newDetails, register } from '../support/person.ts';
import { countWaiting, openTables } from '../support/tables.ts';
import { allAtOnce, startTwoInstances, tally } from '../support/two-instances.ts';

const skip = !onServer && 'needs a PostgreSQL server';
const nothing = { users: 0, sessions: 0, mails: 0 };

async function startAccused(t: Test, overrides: Readonly<Record<string, string>> = {}) {
  const { service, instances } = await startTwoInstances(t, overrides);
  const tables = openTables(t, service);
  const suspect = async () => {
    const person = await register(service);
    const session = await logIn(service, person);
    const link = (await disownPath(service, person)).replace('/auth/disown/', '');
    return { ...person, session, link, path: await confirmationPath(service, person) };
  };
  const rowsOf = async (id: string) => ({
    users: await tables.$count(users, eq(users.id, id)),
    sessions: await tables.$count(sessions, eq(sessions.userId, id)),
    mails: await tables.$count(mails, eq(mails.userId, id)),
  });
  return { service, instances, tables, suspect, rowsOf };
}

t.test('"this was not me" in parallel with confirmations and with itself', { skip }, async (t) => {
  // Who loses holds a link that is not genuine any more, and those are limited.
  const { service, instances, tables, suspect, rowsOf } = await startAccused(t, { RATE_LIMIT: 'off' });

  t.test('either it or the confirmation wins, and nothing else happens', async (t) => {
    for (let round = 0; round < 15; round += 1) {
      const person = await suspect();
      const disowning = () => allAtOnce(4, instances, (instance) => instance.post('/auth/disown', { token: person.link }));
      const confirming = () => allAtOnce(4, instances, (instance) => instance.get(person.path, { token: person.session }));
      const inOrder = round % 2 ? [disowning, confirming] : [confirming, disowning];
      const acts: Promise<Answer[]>[] = [];
      await tables.transaction(async (tx) => {
        await tx.select().from(users).where(eq(users.id, person.id)).for('no key update');
        // All of them are in line before the first may go on: whoever comes in that moment can overtake.
        for (const act of inOrder) {
          acts.push(act());
          await eventually('these are in line', async () => (await countWaiting(tables)) === 4 * acts.length);
        }
      });
      const answers = (await Promise.all(acts)).flat();
      const isConfirmed = answers.some(({ status }) => status === 200);
      const codes = answers.map(({ status, body }) => body?.code ?? status).sort();
      t.equal(isConfirmed, round % 2 === 0, 'whoever came first');
      const disowned = await tables.$count(disownedAddresses, eq(disownedAddresses.emailCanonical, person.email));
      if (isConfirmed) {
        t.strictSame(codes, [200, 200, 200, 200, ...Array(4).fill('already_confirmed')], 'confirmed');
        t.equal((await service.get('/secret', { token: person.session })).status, 200);
        t.equal(disowned, 0);
      } else {
        t.equal(codes.filter((code) => code === 204).length, 1, 'one has cancelled it');
        t.strictSame(
          codes.filter((code) => ![204, 'invalid_token', 'unauthenticated'].includes(code)),
          [],
          'the others find nothing',
        );
        t.strictSame(await rowsOf(person.id), nothing);
        t.equal(disowned, 1);
      }
    }
  });

  t.test('of 20 that cancel, through the page or the API, one does', async (t) => {
    const person = await suspect();
    const pages = await Promise.all(instances.map((instance) => openBrowser(instance).go(`/auth/disown/${person.link}`)));
    const answers = await allAtOnce(20, instances, (instance, index) =>
      index % 4 < 2
        ? instance.post('/auth/disown', { token: person.link })
        : openBrowser(instance).submit(pages[index % 2] as (typeof pages)[number]),
    );
    const done = answers.filter(({ status, text }) => status === 204 || text.includes('data-page="disowned"'));
    t.equal(done.length, 1);
    t.strictSame(tally(answers.filter((answer) => !done.includes(answer))), { 400: 19 });
    t.strictSame(await rowsOf(person.id), nothing);
  });
});

t.test('"this was not me" in parallel with all that an account does', { skip }, async (t) => {
  // With the limits on: without them the next account of the address is written to as ever.
  const { service, instances, tables, suspect, rowsOf } = await startAccused(t);
  for (let round = 0; round < 8; round += 1) {
    const { email, username, password, session, link, id } = await suspect();
    const newEmail = `new.${email}`;
    const asked = [
      (at: (typeof instances)[number]) => at.post('/auth/login', { email, password }),
      (at: (typeof instances)[number]) => at.post('/auth/confirm/resend', undefined, { token: session }),
      (at: (typeof instances)[number]) => at.get('/auth/unconfirmed', { token: session }),
      (at: (typeof instances)[number]) => at.post('/auth/email', { newEmail, password }, { token: session }),
      (at: (typeof instances)[number]) => at.post('/auth/password/forgot', { email }),
      (at: (typeof instances)[number]) => at.post('/auth/register', { ...newDetails(), email, username: `${username}.again` }),
      (at: (typeof instances)[number]) => at.post('/auth/logout', undefined, { token: session }),
      (at: (typeof instances)[number]) => at.post('/auth/disown', { token: link }),
    ];
    const answers = await allAtOnce(16, instances, (instance, index) =>
      (asked[(index + round) % asked.length] as (typeof asked)[number])(instance),
    );
    t.strictSame(
      answers.filter(({ status }) => status >= 500).map(({ text }) => text),
      [],
      'never a fault of the service',
    );
    t.strictSame(await rowsOf(id), nothing, 'nothing of it is left');
    const [newcomer] = await tables.select().from(users).where(eq(users.emailCanonical, email));
    const next = newcomer ?? (await register(service, { ...newDetails(), email }));
    t.equal(await tables.$count(mails, eq(mails.userId, next.id)), 0, 'whoever came next is not written to');
  }
});
