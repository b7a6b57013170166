import { sql } from 'drizzle-orm';
import pg from 'pg';
import t from 'tap';
import type { Queryable } from '../../src/db/database.ts';
import { mails, users } from '../../src/db/schema.ts';
import type { Answer } from '../support/client.ts';
import { createPatientDatabase, onServer, query, withParameters } from '../support/database.ts';
import { eventually } from '../support/eventually.ts';
import { outboxEmpty } from '../support/held-clock.ts';
import { confirmationPath, confirmedPerson, emailChangeToken, newDetails, openSession, register, resetToken } from '../support/person.ts';
import { refused } from '../support/refusal.ts';
import { type Service, startService } from '../support/service.ts';
import { openTables } from '../support/tables.ts';

const mostRetries = 3;

/** What a request writes, and the request, which can be made again when it was not carried out. */
interface Operation {
  /** The kind of a statement, and a table. */
  readonly write: `${'insert' | 'update' | 'delete'} on ${string}`;
  readonly status: number;
  /** Makes whom and what it takes. */
  readonly prepare: (service: Service) => Promise<() => Promise<Answer>>;
}

async function unfollowedLink(service: Service): Promise<() => Promise<Answer>> {
  const person = await register(service);
  const { accessToken: token } = await openSession(service, person);
  const path = await confirmationPath(service, person);
  return () => service.get(path, { token });
}

const operations: Readonly<Record<string, Operation>> = {
  registration: {
    write: 'insert on users',
    status: 201,
    prepare: async (service) => {
      const details = newDetails();
      return () => service.post('/auth/register', details);
    },
  },
  confirmation: {
    write: 'update on users',
    status: 200,
    prepare: unfollowedLink,
  },
  'what is recorded of a confirmation': {
    write: 'insert on events',
    status: 200,
    prepare: unfollowedLink,
  },
  'another mail': {
    write: 'insert on mails',
    status: 202,
    prepare: async (service) => {
      const person = await register(service);
      const { accessToken: token } = await openSession(service, person);
      service.clock.advance({ minutes: 2 });
      return () => service.post('/auth/confirm/resend', undefined, { token });
    },
  },
  login: {
    write: 'insert on sessions',
    status: 200,
    prepare: async (service) => {
      const { email, password } = await register(service);
      return () => service.post('/auth/login', { email, password });
    },
  },
  refreshing: {
    write: 'update on sessions',
    status: 200,
    prepare: async (service) => {
      const { refreshToken } = await openSession(service, await register(service));
      return () => service.post('/auth/refresh', { refreshToken });
    },
  },
  'a spent refresh token': {
    write: 'delete on sessions',
    status: 401,
    prepare: async (service) => {
      const { refreshToken } = await openSession(service, await register(service));
      const { body } = await service.post('/auth/refresh', { refreshToken });
      await service.post('/auth/refresh', { refreshToken: body.refreshToken });
      return () => service.post('/auth/refresh', { refreshToken });
    },
  },
  logout: {
    write: 'delete on sessions',
    status: 204,
    prepare: async (service) => {
      const { accessToken: token } = await openSession(service, await register(service));
      return () => service.post('/auth/logout', undefined, { token });
    },
  },
  'a new password': {
    write: 'update on users',
    status: 204,
    prepare: async (service) => {
      const { password: currentPassword, token } = await confirmedPerson(service);
      const body = { currentPassword, newPassword: 'another nightjar in armour' };
      return () => service.request('PUT', '/auth/password', { token, body });
    },
  },
  'a request for a reset': {
    write: 'insert on reset_requests',
    status: 202,
    prepare: async (service) => {
      const { email } = await register(service);
      return () => service.post('/auth/password/forgot', { email });
    },
  },
  'a reset': {
    write: 'update on users',
    status: 204,
    prepare: async (service) => {
      const token = await resetToken(service, await register(service));
      return () => service.post('/auth/password/reset', { token, newPassword: 'another nightjar in armour' });
    },
  },
  'a new address': {
    write: 'update on users',
    status: 200,
    prepare: async (service) => {
      const person = await confirmedPerson(service);
      const token = await emailChangeToken(service, person, `new-${person.email}`);
      return () => service.get(`/auth/email/confirm/${token}`, { token: person.token });
    },
  },
  'the end of an account': {
    write: 'delete on users',
    status: 204,
    prepare: async (service) => {
      const { password, token } = await confirmedPerson(service);
      return () => service.post('/auth/me/deletion', { password }, { token });
    },
  },
};

/** Has so many of the next such writes fail as if they had met another transaction. A sequence goes on when that is undone. */
async function injectConflicts(tables: Queryable, write: Operation['write'], code: string, times: number): Promise<() => Promise<unknown>> {
  await tables.execute(sql.raw(`create sequence conflicts start 1`));
  await tables.execute(
    sql.raw(`create function conflict() returns trigger language plpgsql as $$ begin
      if nextval('conflicts') <= ${times} then raise exception 'as the test wants it' using errcode = '${code}'; end if;
      return coalesce(new, old);
    end $$`),
  );
  await tables.execute(sql.raw(`create trigger conflict before ${write} for each row execute function conflict()`));
  return async () => {
    await tables.execute(sql.raw(`drop trigger conflict ${/on \w+/.exec(write)?.[0]}; drop function conflict(); drop sequence conflicts`));
  };
}

t.test('Z18: a transaction that got into the way of another', { skip: !onServer && 'needs a PostgreSQL server' }, async (t) => {
  const service = await startService(t, { RATE_LIMIT: 'off' });
  const tables = openTables(t, service);
  for (const [what, { write, status, prepare }] of Object.entries(operations)) {
    for (const [code, name] of Object.entries({ 40001: 'could not be serialized', '40P01': 'was in a deadlock' })) {
      t.test(`${what}: ${name} ${mostRetries} times, and is done all the same, once`, async (t) => {
        const request = await prepare(service);
        await outboxEmpty(tables);
        const before = [await tables.$count(users), await tables.$count(mails)];
        const stop = await injectConflicts(tables, write, code, mostRetries);
        t.equal((await request()).status, status);
        await stop();
        const grown = [await tables.$count(users), await tables.$count(mails)].map((count, index) => count - (before[index] ?? 0));
        if (what === 'registration') t.strictSame(grown, [1, 1]);
        if (what === 'another mail') t.strictSame(grown, [0, 1]);
      });
    }

    t.test(`${what}: more often, and nothing is done: it may be asked for again`, async (t) => {
      const request = await prepare(service);
      await outboxEmpty(tables);
      const stop = await injectConflicts(tables, write, '40001', mostRetries + 1);
      refused(t, await request(), 503, 'service_unavailable');
      await stop();
      const answer = await request();
      t.equal(answer.status, status);
      if (what.includes('confirmation')) t.equal(answer.body.status, 'confirmed', 'and not before');
    });
  }
});

t.test(
  'Z18: a statement by itself that has to give way, such as to a migration, is run again',
  { skip: !onServer && 'needs a PostgreSQL server' },
  async (t) => {
    const database = await createPatientDatabase(t);
    // It looks once for who waits for whom, and by then the other one has to wait, too.
    const DATABASE_URL = withParameters(database['DATABASE_URL'] ?? '', { options: '-c deadlock_timeout=3s' });
    const service = await startService(t, { ...database, DATABASE_URL });
    const { token } = await confirmedPerson(service);
    await outboxEmpty(openTables(t, service));
    const other = new pg.Client({ connectionString: DATABASE_URL });
    await other.connect();
    t.teardown(() => other.end());
    // Of two that wait for each other, it is not this one that gives up.
    await other.query("set deadlock_timeout = '1min'");
    await other.query('begin; lock table users in access exclusive mode');
    const answer = service.get('/secret', { token });
    const waits = `select from pg_stat_activity where wait_event_type = 'Lock' and datname = current_database()`;
    await eventually('it has the other table, and waits for this one', async () => ((await query(DATABASE_URL, waits)).rowCount ?? 0) > 0);
    await other.query('lock table sessions in access exclusive mode');
    await other.query('rollback');
    t.equal((await answer).status, 200);
  },
);
