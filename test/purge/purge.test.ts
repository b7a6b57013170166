import { eq, isNull, sql } from 'drizzle-orm';
import t from 'tap';
import { v7 as timeOrderedUuid } from 'uuid';
import { changeRole, confirmUser, requireNamedUser } from '../../src/administration/manage-user.ts';
import { events, mails, revokedSessions, sessions, users } from '../../src/db/schema.ts';
import { batchSize, purge } from '../../src/purge/purge.ts';
import { eventually } from '../support/eventually.ts';
import { holdClock, leap, outboxEmpty } from '../support/held-clock.ts';
import {
  confirmationToken,
  confirmedPerson,
  emailChangeToken,
  logIn,
  newDetails,
  openSession,
  type Person,
  register,
} from '../support/person.ts';
import { refused } from '../support/refusal.ts';
import { type Service, startInstance, startService } from '../support/service.ts';
import { openTables } from '../support/tables.ts';

const daySeconds = 24 * 3600;
const purgeNow = ({ app: { services } }: Pick<Service, 'app'>) => purge({ ...services, retention: services.config.retention });

t.test('the purge', async (t) => {
  const service = await startService(t);
  const tables = openTables(t, service);
  const { clock } = service;
  const exists = async ({ id }: Pick<Person, 'id'>) => (await tables.$count(users, eq(users.id, id))) === 1;
  /** Makes the clock stand still so many milliseconds after an instant. */
  const standAt = async (time: Date, milliseconds: number) => {
    await outboxEmpty(tables);
    holdClock(clock, new Date(time.getTime() + milliseconds));
  };
  const admin = await register(service);
  const { services } = service.app;
  await changeRole(services, await requireNamedUser(services.db, admin.id), 'admin');

  t.test('R18: deletes an account that was not confirmed in seven days, to the millisecond', async (t) => {
    const [person, confirmed] = [await register(service), await confirmedPerson(service)];
    const bystander = await confirmedPerson(service);
    await outboxEmpty(tables);
    const [row] = await tables.select().from(users).where(eq(users.id, person.id));
    const week = 7 * daySeconds * 1000;
    await standAt(row?.createdAt as Date, week - 60_000);
    const session = await openSession(service, person);
    const other = await openSession(service, bystander);
    await standAt(row?.createdAt as Date, week);
    await purgeNow(service);
    t.ok(await exists(person), 'it has its whole time');
    await standAt(row?.createdAt as Date, week + 1);
    await purgeNow(service);
    t.notOk(await exists(person));
    for (const table of [sessions, events, mails]) t.equal(await tables.$count(table, eq(table.userId, person.id)), 0);
    refused(t, await service.get('/auth/me', { token: session.accessToken }), 401, 'unauthenticated', 'at once');
    refused(t, await service.post('/auth/refresh', { refreshToken: session.refreshToken }), 401, 'invalid_refresh_token');
    const { email, password } = person;
    refused(t, await service.post('/auth/login', { email, password }), 401, 'invalid_credentials');
    t.ok(await exists(confirmed), 'who is confirmed stays');
    t.equal((await service.get('/secret', { token: other.accessToken })).status, 200);
    t.ok(await exists(admin), 'and so does an administrator who is not');
  });

  t.test('goes on with the rest when something fails, and says so', async (t) => {
    const sessionId = timeOrderedUuid();
    await outboxEmpty(tables);
    await tables.insert(revokedSessions).values({ sessionId, revokedAt: new Date(0) });
    await tables.execute(sql`alter table events rename to events_away`);
    await t.rejects(purgeNow(service), { name: 'Error', errors: Array }, 'the events cannot be purged');
    await tables.execute(sql`alter table events_away rename to events`);
    t.equal(await tables.$count(revokedSessions, eq(revokedSessions.sessionId, sessionId)), 0, 'what comes after them can');
    await t.resolves(purgeNow(service));
  });

  t.test('R18: the names of such an account are free before it has run', async (t) => {
    const details = { ...newDetails(), username: 'Overdue', email: 'Over.Due@example.com' };
    const old = await register(service, details);
    const link = await confirmationToken(service, old);
    await leap(clock, tables, 7 * daySeconds - 60);
    const session = await openSession(service, old);
    refused(t, await service.post('/auth/register', details), 409, 'email_taken', 'before its time is over');
    await leap(clock, tables, 61);
    t.equal((await service.get('/auth/me', { token: session.accessToken })).status, 200, 'nothing has deleted it yet');
    const answer = await service.post('/auth/register', { ...details, username: 'OVERDUE', password: 'that of the new owner' });
    t.equal(answer.status, 201);
    t.not(answer.body.user.id, old.id);
    t.notOk(await exists(old));
    refused(t, await service.get('/auth/me', { token: session.accessToken }), 401, 'unauthenticated', 'the old session is dead');
    refused(t, await service.post('/auth/refresh', { refreshToken: session.refreshToken }), 401, 'invalid_refresh_token');
    const { email, password } = details;
    refused(t, await service.post('/auth/login', { email, password }), 401, 'invalid_credentials', 'the old password');
    t.equal((await service.post('/auth/confirm', { token: link, password: 'that of the new owner' })).status >= 400, true);
    const fresh = await confirmationToken(service, { email }, 2);
    t.equal((await service.post('/auth/confirm', { token: fresh, password: 'that of the new owner' })).status, 200);
  });

  t.test('R18: two such accounts give way to one that wants a name of each; others do not', async (t) => {
    const [one, two] = [await register(service), await register(service)];
    const confirmed = await confirmedPerson(service);
    await leap(clock, tables, 7 * daySeconds + 1);
    const both = { ...newDetails(), email: one.email, username: two.username };
    const taken = await service.post('/auth/register', { ...both, email: confirmed.email });
    refused(t, taken, 409, 'email_taken');
    t.strictSame(
      taken.body.errors.map(({ pointer }: { pointer: string }) => pointer),
      ['/email'],
      'the free one is not named',
    );
    t.equal((await service.post('/auth/register', { ...both, email: `next.${one.email}` })).status, 201);
    t.ok(await exists(one));
    t.equal((await service.post('/auth/register', { ...newDetails(), email: one.email })).status, 201);
    t.strictSame([await exists(one), await exists(two)], [false, false]);
    refused(t, await service.post('/auth/register', { ...newDetails(), email: admin.email }), 409, 'email_taken', 'an administrator’s');
  });

  t.test('R18: and to an account that wants them later', async (t) => {
    const [named, addressed, later] = [await register(service), await register(service), await register(service)];
    await leap(clock, tables, 7 * daySeconds - 600);
    const { token, ...person } = await confirmedPerson(service);
    const rename = (username: string) => service.request('PATCH', '/auth/me', { token, body: { username } });
    const move = (newEmail: string) => service.post('/auth/email', { newEmail, password: person.password }, { token });
    refused(t, await rename(named.username), 409, 'username_taken', 'before their time is over');
    refused(t, await move(addressed.email), 409, 'email_taken');
    await leap(clock, tables, 601);
    const session = { token: await logIn(service, person) };
    t.equal((await service.request('PATCH', '/auth/me', { ...session, body: { username: named.username } })).status, 200);
    const ask = { newEmail: addressed.email, password: person.password };
    t.equal((await service.post('/auth/email', ask, session)).status, 202);
    t.strictSame([await exists(named), await exists(addressed), await exists(later)], [false, false, true]);
  });

  t.test('R18: a link to an address that such an account has got meanwhile works', async (t) => {
    const person = await confirmedPerson(service);
    const newEmail = `new.${person.email}`;
    const token = await emailChangeToken(service, person, newEmail);
    const squatter = await register(service, { ...newDetails(), email: newEmail });
    const old = new Date(clock.now().getTime() - (7 * daySeconds + 1) * 1000);
    await tables.update(users).set({ createdAt: old }).where(eq(users.id, squatter.id));
    t.equal((await service.post('/auth/email/confirm', { token }, { token: person.token })).status, 200);
    t.notOk(await exists(squatter));
  });

  t.test('sends what a clock has stranded that was put back', async (t) => {
    await outboxEmpty(tables);
    const { email } = await register(service);
    await outboxEmpty(tables);
    const dueAt = (minutes: number) => new Date(clock.now().getTime() + minutes * 60_000);
    const strand = (minutes: number) =>
      tables
        .update(mails)
        .set({ status: 'queued', dueAt: dueAt(minutes), settledAt: null })
        .where(eq(mails.recipient, email));
    await strand(15);
    await purgeNow(service);
    const [row] = await tables.select().from(mails).where(eq(mails.recipient, email));
    t.match(row, { status: 'queued', dueAt: dueAt(15) }, 'as long as any mail is put off');
    await strand(60);
    await purgeNow(service);
    await service.mailServer.mailTo(email, 2);
  });

  t.test('deletes a session a day after its end, and not before', async (t) => {
    const person = await confirmedPerson(service);
    await tables.delete(sessions);
    await openSession(service, person);
    const [session] = await tables.select().from(sessions);
    for (const [milliseconds, count] of [
      [0, 1],
      [daySeconds * 1000, 1],
      [daySeconds * 1000 + 1, 0],
    ] as const) {
      await standAt(session?.idleExpiresAt as Date, milliseconds);
      await purgeNow(service);
      t.equal(await tables.$count(sessions), count, `${milliseconds} ms after its end`);
    }
  });

  t.test('deletes settled mails after seven days, and those that wait never', async (t) => {
    const person = await confirmedPerson(service);
    await outboxEmpty(tables);
    const [row] = await tables.select().from(mails).where(eq(mails.userId, person.id));
    const queued = {
      ...row,
      id: timeOrderedUuid(),
      status: 'queued',
      settledAt: null,
      dueAt: new Date((row?.settledAt?.getTime() ?? 0) + (7 * daySeconds + 900) * 1000),
    } as typeof mails.$inferInsert;
    await tables.insert(mails).values(queued);
    const left = () => tables.$count(mails, eq(mails.userId, person.id));
    const at = row?.settledAt as Date;
    holdClock(clock, new Date(at.getTime() + 7 * daySeconds * 1000));
    await purgeNow(service);
    t.equal(await left(), 2);
    holdClock(clock, new Date(at.getTime() + 7 * daySeconds * 1000 + 1));
    await purgeNow(service);
    t.strictSame(
      (await tables.select().from(mails).where(eq(mails.userId, person.id))).map(({ id }) => id),
      [queued.id],
    );
    await tables.delete(mails);
  });

  t.test('deletes events after ninety days, in as many batches as it takes', async (t) => {
    const person = await confirmedPerson(service);
    await outboxEmpty(tables);
    await tables.delete(events);
    const now = clock.now().getTime();
    const old = Array.from({ length: 2 * batchSize + 1 }, (_, index) => {
      const at = new Date(now - index);
      return { id: timeOrderedUuid({ msecs: at.getTime() }), userId: person.id, type: 'logged_in' as const, at };
    });
    await tables.insert(events).values(old);
    await standAt(new Date(now), 90 * daySeconds * 1000);
    await purgeNow(service);
    t.equal(await tables.$count(events), 1, 'but for the one that is exactly so old');
    await standAt(new Date(now), 90 * daySeconds * 1000 + 1);
    await purgeNow(service);
    t.equal(await tables.$count(events), 0);
    t.ok(await exists(person));
  });

  t.test('deletes more accounts and sessions than a batch has, and revokes what lived', async (t) => {
    const createdAt = new Date(clock.now().getTime() - 8 * daySeconds * 1000);
    const count = batchSize + 3;
    const rows = Array.from({ length: count }, (_, index) => {
      const username = `batch${index}`;
      const email = `${username}@example.com`;
      return {
        id: timeOrderedUuid(),
        email,
        emailCanonical: email,
        username,
        usernameCanonical: username,
        passwordHash: 'none',
        createdAt,
      };
    });
    await tables.insert(users).values(rows);
    const idleExpiresAt = new Date(clock.now().getTime() + 1000);
    const times = { createdAt, lastUsedAt: createdAt, idleExpiresAt, expiresAt: idleExpiresAt };
    await tables
      .insert(sessions)
      .values(rows.map(({ id }) => ({ id: timeOrderedUuid(), userId: id, ...times, rememberMe: false, client: 'x' })));
    await tables.delete(revokedSessions);
    await purgeNow(service);
    t.equal(await tables.$count(users, sql`${users.username} like 'batch%'`), 0);
    t.equal(await tables.$count(revokedSessions), count);
    await standAt(clock.now(), 25 * 3600_000);
    await purgeNow(service);
    t.equal(await tables.$count(revokedSessions), 0, 'which is forgotten when no access token of them can live');
  });
});

t.test('accounts that were never confirmed are kept for as long as it is configured', async (t) => {
  const service = await startService(t, { UNCONFIRMED_ACCOUNT_TTL_DAYS: '0' });
  const tables = openTables(t, service);
  const details = newDetails();
  const { id } = await register(service, details);
  await leap(service.clock, tables, 4000 * daySeconds);
  await purgeNow(service);
  t.equal(await tables.$count(users, eq(users.id, id)), 1, '0 is for ever');
  refused(t, await service.post('/auth/register', details), 409, 'email_taken');
  await service.app.close();

  const shorter = await startInstance(t, { ...service.env, UNCONFIRMED_ACCOUNT_TTL_DAYS: '3' }, service.clock);
  const again = openTables(t, service);
  await eventually('an instance purges as it starts', async () => (await again.$count(users, eq(users.id, id))) === 0);
  const person = await register(shorter);
  const kept = await register(shorter);
  await confirmUser(shorter.app.services, await requireNamedUser(again, kept.id));
  await leap(service.clock, again, 3 * daySeconds - 1);
  await purgeNow(shorter);
  t.equal(await again.$count(users, isNull(users.confirmedAt)), 1);
  t.ok(await logIn(shorter, person));
  await leap(service.clock, again, 2);
  await purgeNow(shorter);
  t.strictSame(
    (await again.select().from(users)).map((row) => row.id),
    [kept.id],
  );
});
