import { and, eq, inArray, sql } from 'drizzle-orm';
import t, { type Test } from 'tap';
import { v7 as timeOrderedUuid } from 'uuid';
import { changeRole, requireNamedUser } from '../../src/administration/manage-user.ts';
import { events, mails, sessions, users } from '../../src/db/schema.ts';
import { recordEvent } from '../../src/identity/events.ts';
import { purge } from '../../src/purge/purge.ts';
import type { Answer, Client } from '../support/client.ts';
import { createPatientDatabase, onServer } from '../support/database.ts';
import { eventually } from '../support/eventually.ts';
import { leap, outboxEmpty } from '../support/held-clock.ts';
import { confirmationToken, confirmedPerson, logIn, newDetails, type Person, register } from '../support/person.ts';
import { refused } from '../support/refusal.ts';
import { startInstance, startService } from '../support/service.ts';
import { isSomebodyWaiting, openTables } from '../support/tables.ts';
import { allAtOnce, tally } from '../support/two-instances.ts';

const weekSeconds = 7 * 24 * 3600;

t.test('accounts that are changed and deleted at once', { skip: !onServer && 'needs a PostgreSQL server' }, async (t) => {
  const here = await startService(t, await createPatientDatabase(t));
  const there = await startInstance(t, here.env, here.clock);
  const instances = [here, there];
  const tables = openTables(t, here);

  const rename = ({ request }: Client, token: string, username: string) => request('PATCH', '/auth/me', { token, body: { username } });
  const remove = ({ post }: Client, { password }: Person, token: string) => post('/auth/me/deletion', { password }, { token });
  const people = (count: number) => Promise.all(Array.from({ length: count }, () => register(here)));
  const withTokens = async (count: number) => {
    const all = await people(count);
    return Promise.all(all.map(async (person) => ({ ...person, token: await logIn(here, person) })));
  };

  t.test('of parallel renames to one name, in whatever case, exactly one wins', async (t) => {
    for (let round = 0; round < 3; round += 1) {
      const all = await withTokens(10);
      const wanted = `Wanted${round}`;
      const answers = await Promise.all(
        all.map(({ token }, index) => rename(index % 2 ? here : there, token, index % 3 ? wanted : wanted.toUpperCase())),
      );
      t.strictSame(tally(answers), { 200: 1, 409: 9 });
      for (const answer of answers.filter(({ status }) => status === 409)) refused(t, answer, 409, 'username_taken');
      const holders = await tables.select().from(users).where(eq(users.usernameCanonical, wanted.toLowerCase()));
      t.equal(holders.length, 1);
      const recorded = and(
        inArray(
          events.userId,
          all.map(({ id }) => id),
        ),
        eq(events.type, 'username_changed'),
      );
      const rows = await tables.select().from(events).where(recorded);
      t.strictSame(
        rows.map(({ userId }) => userId),
        [holders[0]?.id],
        'nothing is recorded of those who lost',
      );
    }
  });

  t.test('two who want each other’s name at once get an answer, and no name is lost', async (t) => {
    for (let round = 0; round < 10; round += 1) {
      const [one, other] = (await withTokens(2)) as [Person & { token: string }, Person & { token: string }];
      const answers = await Promise.all([rename(here, one.token, other.username), rename(there, other.token, one.username)]);
      for (const answer of answers) refused(t, answer, 409, 'username_taken');
      const rows = await tables
        .select()
        .from(users)
        .where(inArray(users.id, [one.id, other.id]));
      t.strictSame(rows.map(({ username }) => username).sort(), [one.username, other.username].sort());
    }
  });

  t.test('of parallel deletions one does it, and none fails', async (t) => {
    const [person] = (await withTokens(1)) as [Person & { token: string }];
    const answers = await allAtOnce(10, instances, (instance) => remove(instance, person, person.token));
    t.equal(tally(answers)[204], 1);
    for (const answer of answers.filter(({ status }) => status !== 204)) refused(t, answer, 401, 'unauthenticated');
    t.equal(await tables.$count(users, eq(users.id, person.id)), 0);
  });

  t.test('L11: logins, refreshes, renames and mails that race with a deletion leave nothing of the account', async (t) => {
    for (let round = 0; round < 5; round += 1) {
      const [person] = (await withTokens(1)) as [Person & { token: string }];
      const { email, password, token } = person;
      const { refreshToken } = (await here.post('/auth/login', { email, password })).body;
      const acts = [
        ...Array.from({ length: 4 }, () => there.post('/auth/login', { email, password })),
        ...Array.from({ length: 2 }, () => there.post('/auth/refresh', { refreshToken })),
        rename(there, token, `renamed${round}`),
        there.post('/auth/login', { email, password: 'not the password' }),
        here.get('/auth/me/export', { token }),
      ];
      const deletion = await remove(here, person, token);
      t.equal(deletion.status, 204);
      for (const { status } of await Promise.all(acts)) t.ok(status === 200 || status === 401, `one answered ${status}`);
      for (const table of [sessions, events, mails]) t.equal(await tables.$count(table, eq(table.userId, person.id)), 0);
    }
  });

  t.test('of two administrators who delete themselves at once, one stays', async (t) => {
    for (let round = 0; round < 5; round += 1) {
      const two = [await confirmedPerson(here), await confirmedPerson(here)];
      await tables.update(users).set({ role: 'user' }).where(eq(users.role, 'admin'));
      const { services } = here.app;
      for (const { id } of two) await changeRole(services, await requireNamedUser(services.db, id), 'admin');
      const tokens = await Promise.all(two.map((each) => logIn(here, each)));
      const answers = await Promise.all(two.map((each, index) => remove(index ? here : there, each, tokens[index] ?? '')));
      t.strictSame(tally(answers), { 204: 1, 409: 1 }, `round ${round}`);
      t.equal(await tables.$count(users, eq(users.role, 'admin')), 1);
    }
  });

  /** Settles a mail as a worker does, but takes its time: `meanwhile` comes to wait for it in between. */
  async function settleSlowly(t: Test, { id, email }: Person, meanwhile: () => Promise<unknown>): Promise<void> {
    let act: Promise<unknown> | undefined;
    await tables.transaction(async (tx) => {
      await tx.update(mails).set({ status: 'sent', settledAt: here.clock.now() }).where(eq(mails.recipient, email));
      act = meanwhile();
      act.catch(() => {});
      await eventually('it waits for the mail', () => isSomebodyWaiting(tables));
      await recordEvent(tx, id, 'confirmation_mail_sent', undefined, here.clock);
    });
    await t.resolves(act as Promise<unknown>, 'what has waited for it succeeds');
    t.equal(await tables.$count(users, eq(users.id, id)), 0);
    t.equal(await tables.$count(mails, eq(mails.recipient, email)), 0);
  }

  t.test('a deletion waits for a mail that is being settled, and neither fails', async (t) => {
    const [person] = (await withTokens(1)) as [Person & { token: string }];
    await outboxEmpty(tables);
    await settleSlowly(t, person, async () => t.equal((await remove(here, person, person.token)).status, 204));
  });

  t.test('a purge waits for a mail that is being settled, and neither fails', async (t) => {
    const person = await register(here);
    await leap(here.clock, tables, weekSeconds + 1);
    await settleSlowly(t, person, () => purge({ ...here.app.services, retention: here.app.services.config.retention }));
  });

  t.test('a purge waits for failed logins that are being recorded for several of its accounts, and neither fails', async (t) => {
    const two = await people(2);
    const [first, second] = two.map(({ id }) => id).toSorted() as [string, string];
    // So that the rows do not lie in the order of the ids.
    await tables.update(users).set({ locale: 'de' }).where(eq(users.id, first));
    await leap(here.clock, tables, weekSeconds + 1);
    let purging: Promise<void> | undefined;
    await tables.transaction(async (tx) => {
      await recordEvent(tx, first, 'login_failed', undefined, here.clock);
      purging = purge({ ...here.app.services, retention: here.app.services.config.retention });
      purging.catch(() => {});
      await eventually('it waits', () => isSomebodyWaiting(tables));
      await recordEvent(tx, second, 'login_failed', undefined, here.clock);
    });
    await t.resolves(purging as Promise<void>);
    t.equal(await tables.$count(users, inArray(users.id, [first, second])), 0);
  });

  t.test('a confirmation in the moment of the purge wins, or finds the account gone', async (t) => {
    const { retention } = here.app.services.config;
    const all = await people(12);
    await leap(here.clock, tables, weekSeconds - 60);
    for (const each of all) {
      const token = await logIn(here, each);
      t.equal((await here.post('/auth/confirm/resend', undefined, { token })).status, 202);
    }
    const links = await Promise.all(all.map((each) => confirmationToken(here, each, 2)));
    await leap(here.clock, tables, 61);
    const [answers] = await Promise.all([
      Promise.all(all.map(({ password }, index) => here.post('/auth/confirm', { token: links[index], password }))),
      purge({ ...there.app.services, retention }),
      purge({ ...here.app.services, retention }),
    ]);
    for (const [index, answer] of answers.entries()) {
      const { id } = all[index] as Person;
      t.ok(answer.status === 200 || answer.status === 400 || answer.status === 401, `a confirmation answered ${answer.status}`);
      const rows = await tables.select().from(users).where(eq(users.id, id));
      t.equal(rows.length, answer.status === 200 ? 1 : 0, `after ${answer.status}`);
      for (const { confirmedAt } of rows) t.type(confirmedAt, Date);
    }
    await purge({ ...here.app.services, retention });
  });

  t.test('R18: whoever registers in the moment of the purge gets the names', async (t) => {
    const { retention } = here.app.services.config;
    for (let round = 0; round < 3; round += 1) {
      const holders = Array.from({ length: 12 }, () => newDetails());
      await Promise.all(holders.map((details) => register(there, details)));
      await leap(here.clock, tables, weekSeconds + 1);
      const [answers] = await Promise.all([
        Promise.all(holders.map((details, index) => (index % 2 ? here : there).post('/auth/register', details))),
        purge({ ...there.app.services, retention }),
        purge({ ...here.app.services, retention }),
      ]);
      t.strictSame(tally(answers), { 201: 12 });
    }
  });

  t.test('R18: whoever registers while the purge holds the account waits for its end, and gets the names', async (t) => {
    const details = newDetails();
    const { id } = await register(here, details);
    await leap(here.clock, tables, weekSeconds + 1);
    let registration: Promise<Answer> | undefined;
    await tables.transaction(async (tx) => {
      await tx.select().from(users).where(eq(users.id, id)).for('no key update');
      registration = here.post('/auth/register', details);
      await eventually('it waits or has been refused', async () => (await isSomebodyWaiting(tables)) || (await isDone(registration)));
      await tx.delete(users).where(eq(users.id, id));
    });
    t.equal((await registration)?.status, 201);
  });

  t.test('R18: whoever registers while the holder is being confirmed finds the names taken', async (t) => {
    const details = newDetails();
    const { id } = await register(here, details);
    await leap(here.clock, tables, weekSeconds + 1);
    let registration: Promise<Answer> | undefined;
    await tables.transaction(async (tx) => {
      await tx.update(users).set({ confirmedAt: here.clock.now() }).where(eq(users.id, id));
      registration = here.post('/auth/register', details);
      await eventually('it waits or has been refused', async () => (await isSomebodyWaiting(tables)) || (await isDone(registration)));
    });
    refused(t, (await registration) as Answer, 409, 'email_taken');
    t.equal(await tables.$count(users, eq(users.id, id)), 1);
  });

  t.test('several purges at once delete each row once, without waiting for each other', async (t) => {
    const old = new Date(here.clock.now().getTime() - 200 * 24 * 3600_000);
    const rows = Array.from({ length: 1300 }, (_, index) => {
      const name = `old${index}`;
      const email = `${name}@example.com`;
      const id = timeOrderedUuid({ msecs: old.getTime() + index });
      return { id, email, emailCanonical: email, username: name, usernameCanonical: name, passwordHash: 'none', createdAt: old };
    });
    await tables.insert(users).values(rows);
    const end = new Date(here.clock.now().getTime() + 3600_000);
    const times = { createdAt: old, lastUsedAt: old, idleExpiresAt: end, expiresAt: end };
    const client = { ip: '127.0.0.1', userAgent: null, client: 'none', rememberMe: false };
    await tables.insert(sessions).values(rows.map(({ id }) => ({ id, userId: id, ...times, ...client })));
    const owner = await confirmedPerson(here);
    const happened = rows.map(({ id }) => ({ id, userId: owner.id, type: 'logged_in' as const, at: old }));
    await tables.insert(events).values(happened);
    const { retention } = here.app.services.config;
    const held = rows[7]?.id as string;
    const told: string[] = [];
    await tables.transaction(async (tx) => {
      await tx.select().from(users).where(eq(users.id, held)).for('no key update');
      const purges = Array.from({ length: 4 }, (_, index) => {
        const { services } = (index % 2 ? here : there).app;
        const revocations = { ...services.revocations, note: (ids: readonly string[]) => void told.push(...ids) };
        return purge({ ...services, revocations, retention });
      });
      await Promise.all(purges);
    });
    t.equal(await tables.$count(users, sql`${users.username} like 'old%'`), 1, 'but for the one that another transaction holds');
    t.equal(told.length, 1299, 'of each one it is told that its session has ended');
    t.equal(new Set(told).size, told.length, 'once');
    await purge({ ...here.app.services, retention });
    t.equal(await tables.$count(users, sql`${users.username} like 'old%'`), 0, 'which is left for the next time');
    t.equal(await tables.$count(events, sql`${events.at} <= ${old.toISOString()}`), 0);
    t.equal(await tables.$count(users, eq(users.id, owner.id)), 1);
  });
});

/** Whether an answer has come. */
async function isDone(answer: Promise<unknown> | undefined): Promise<boolean> {
  return (await Promise.race([answer, undefined])) !== undefined;
}
