import { join } from 'node:path';
import { sql } from 'drizzle-orm';
import t, { type Test } from 'tap';
import { openPool, type ServerTraits, traitsOf } from '../../src/db/client.ts';
import type { Database, Queryable } from '../../src/db/database.ts';
import { migrateServerDatabase } from '../../src/db/migrate-server.ts';
import { users } from '../../src/db/schema.ts';
import { isDatabaseUnavailable } from '../../src/db/unavailable.ts';
import { cert, key } from '../support/certificate.ts';
import type { Answer } from '../support/client.ts';
import { asPostgres, noPostgres, startCluster } from '../support/cluster.ts';
import { eventually } from '../support/eventually.ts';
import { confirmedPerson, logIn } from '../support/person.ts';
import { noPgBouncer, startPgBouncer } from '../support/pgbouncer.ts';
import { startInstance, startService } from '../support/service.ts';
import { startProxy } from '../support/tcp-proxy.ts';

function open(t: Test, url: string, options: { size?: number; traits?: ServerTraits } = {}): Database {
  const database = openPool({ url, onIdleError: () => {}, ...options });
  t.teardown(database.close);
  return database;
}

/** How an attempt failed, in PostgreSQL's words or in the driver's. */
async function failureOf(attempt: Promise<unknown>): Promise<string> {
  try {
    await attempt;
    return 'none';
  } catch (error) {
    const cause = (error as Error).cause ?? error;
    return (cause as { code?: string }).code ?? (cause as Error).message;
  }
}

t.test('a server', { skip: noPostgres }, async (t) => {
  // As it is by default: it looks for deadlocks after a second.
  const cluster = await startCluster(t);
  const { db, close } = openPool({ url: cluster.url, onIdleError: () => {} });
  t.teardown(close);
  await db.execute(sql`create table counters (id int primary key, count int not null)`);
  await db.execute(sql`insert into counters values (1, 0), (2, 0)`);
  const count = (tx: Queryable, id: number) => tx.execute(sql`update counters set count = count + 1 where id = ${id}`);
  const counts = async () => (await db.execute(sql`select count from counters order by id`)) as unknown as { rows: { count: number }[] };

  t.test('ends what takes too long, and the pool goes on', async (t) => {
    t.equal(await failureOf(db.execute(sql`select pg_sleep(30)`)), '57014', 'a statement');
    await db.transaction(async (tx) => {
      await count(tx, 1);
      t.equal(await failureOf(db.transaction((other) => count(other, 1))), '55P03', 'a wait for a lock');
    });
    t.equal(await failureOf(open(t, cluster.url, { size: 1 }).db.transaction((tx) => tx.execute(sql`select pg_sleep(30)`))), '57014');
    const { rows } = (await db.execute(sql`show idle_in_transaction_session_timeout`)) as unknown as { rows: Record<string, string>[] };
    t.same(rows, [{ idle_in_transaction_session_timeout: '10s' }]);
    t.equal(await failureOf(db.execute(sql`select 1`)), 'none');
  });

  t.test('runs transactions again that got into each other’s way', async (t) => {
    let runs = 0;
    // Each waits until the other holds its first row: on the first run they deadlock, for sure.
    let holders = 0;
    const both = (first: number, second: number) =>
      db.transaction(async (tx) => {
        runs += 1;
        await count(tx, first);
        holders += 1;
        while (holders < 2) await tx.execute(sql`select pg_sleep(0.01)`);
        await count(tx, second);
      });
    const deadlock = async () => {
      await db.execute(sql`update counters set count = 0`);
      runs = holders = 0;
      return Promise.all([failureOf(both(1, 2)), failureOf(both(2, 1))]);
    };
    let failures = await deadlock();
    // A server that is too busy to look for deadlocks in time ends the wait as one for a lock.
    for (let tries = 1; failures.includes('55P03') && tries < 5; tries += 1) failures = await deadlock();
    t.same(failures, ['none', 'none']);
    t.ok(runs > 2, 'one of them was run again');
    t.same((await counts()).rows, [{ count: 2 }, { count: 2 }], 'and both are done, once');
  });

  t.test('that would never get out of each other’s way are given up', async (t) => {
    let runs = 0;
    const conflict = db.transaction(
      async (tx) => {
        runs += 1;
        await tx.execute(sql`select * from counters where id = 1`);
        await db.transaction((other) => count(other, 1));
        await count(tx, 1);
      },
      { isolationLevel: 'repeatable read' },
    );
    t.equal(await failureOf(conflict), '40001');
    t.equal(runs, 4, 'after three more runs');
  });
});

t.test('a server that says nothing any more', { skip: noPostgres }, async (t) => {
  const cluster = await startCluster(t);
  const proxy = await startProxy(t, cluster.port);
  const database = open(t, cluster.url.replace(String(cluster.port), String(proxy.port)), { size: 2 });
  await Promise.all([1, 2, 3].map(() => database.db.execute(sql`select pg_sleep(0.01)`)));
  proxy.blackHole();
  const attempts = [
    database.db.execute(sql`select 1`),
    database.db.transaction((tx) => tx.execute(sql`select 1`)),
    database.db.execute(sql`select 1`),
  ];
  const errors = await Promise.all(
    attempts.map((attempt) =>
      attempt.then(
        () => undefined,
        (error: unknown) => error,
      ),
    ),
  );
  for (const error of errors) t.ok(isDatabaseUnavailable(error), String((error as Error | undefined)?.cause ?? error));
  proxy.restore();
  t.equal(await failureOf(database.db.execute(sql`select 1`)), 'none', 'is used again as soon as it speaks');
  t.equal(await failureOf(database.db.transaction((tx) => tx.execute(sql`select 1`))), 'none');

  const lost = await failureOf(
    database.db.transaction(async (tx) => {
      await tx.execute(sql`select 1`);
      proxy.cut();
      await tx.execute(sql`select 1`);
    }),
  );
  t.not(lost, 'none', 'what is lost in the middle of a transaction fails, and ends nothing else');
  t.equal(await failureOf(database.db.transaction((tx) => tx.execute(sql`select 1`))), 'none');

  proxy.cut();
  const outcomes = await Promise.all([1, 2, 3, 4].map(() => failureOf(database.db.execute(sql`select 1`))));
  t.ok(outcomes.includes('none'), 'and so is one that has cut all connections');
  t.equal(await failureOf(database.db.execute(sql`select 1`)), 'none');
});

t.test('a service on a server that turns read-only, as one does whose place another has taken', { skip: noPostgres }, async (t) => {
  const cluster = await startCluster(t);
  const service = await startService(t, { DATABASE_URL: cluster.url, RATE_LIMIT: 'off' });
  const person = await confirmedPerson(service);
  const outside = open(t, cluster.url);
  await outside.db.execute(sql`alter system set default_transaction_read_only = on`);
  await outside.db.execute(sql`select pg_reload_conf()`);
  const login = () => service.post('/auth/login', { email: person.email, password: person.password });
  let refusal: Answer | undefined;
  await eventually('its connections have heard of it', async () => {
    refusal = await login();
    return refusal.status !== 200;
  });
  t.match(refusal, { status: 503, body: { code: 'service_unavailable' } });
  t.match(refusal?.headers['retry-after'], /^\d+$/);
  t.equal((await service.get('/secret', { token: person.token })).status, 200, 'whoever is logged in stays so');
  await outside.db.execute(sql`set default_transaction_read_only = off`);
  cluster.stop('fast');
  await cluster.configure('');
  cluster.start();
  const recovering = open(t, `${cluster.url}?options=-c%20default_transaction_read_only%3Doff`);
  await recovering.db.execute(sql`alter system reset default_transaction_read_only`);
  await recovering.db.execute(sql`select pg_reload_conf()`);
  await eventually('logins work again', async () => (await login()).status === 200);
});

t.test('PgBouncer in transaction mode, with one connection for all', { skip: noPostgres || noPgBouncer }, async (t) => {
  const cluster = await startCluster(t);
  const url = await startPgBouncer(t, cluster);
  t.strictSame(await traitsOf(cluster.url), { takesTimeouts: true, keepsStatements: true });
  // As README says that the role should be, where PgBouncer lets no time-outs through.
  await open(t, cluster.url).db.execute(sql`alter role postgres set lock_timeout = '1ms'`);
  await open(t, cluster.url).db.execute(sql`alter role postgres set statement_timeout = '200ms'`);
  await Promise.all([1, 2, 3].map(() => migrateServerDatabase(cluster.url)));
  t.pass('migrations take their time, and wait for each other all the same');
  for (const name of ['lock_timeout', 'statement_timeout']) {
    await open(t, cluster.url).db.execute(sql.raw(`alter role postgres reset ${name}`));
  }
  const pooled: ServerTraits = { takesTimeouts: false, keepsStatements: false };
  t.strictSame(await traitsOf(url), pooled);
  const silent = await startPgBouncer(
    t,
    cluster,
    'ignore_startup_parameters = statement_timeout, lock_timeout, idle_in_transaction_session_timeout',
  );
  t.strictSame(await traitsOf(silent), pooled, 'one that takes them, but does not pass them on');
  const service = await startService(t, { DATABASE_URL: url, RATE_LIMIT: 'off' });
  const other = await startInstance(t, service.env, service.clock);
  const people = [await confirmedPerson(service), await confirmedPerson({ ...other, mailServer: service.mailServer })];
  const sessions = await Promise.all(people.flatMap((person) => [1, 2, 3, 4, 5].map(() => logIn(service, person))));
  t.equal(new Set(sessions).size, 10, 'parallel logins do not get into each other’s way');
  for (const token of sessions) t.equal((await other.get('/auth/me', { token })).status, 200);
  await service.post('/auth/logout', undefined, { token: sessions[0] as string });
  await eventually(
    'the other instance knows of the logout',
    async () => (await other.get('/auth/me', { token: sessions[0] as string })).status === 401,
  );
  t.equal((await open(t, url, { traits: pooled }).db.select().from(users)).length, 2);
});

t.test('the connection is encrypted, and leads to whom it says, where DATABASE_URL asks for it', { skip: noPostgres }, async (t) => {
  const cluster = await startCluster(t);
  const authority = join(t.testdir({ 'ca.pem': cert }), 'ca.pem');
  const demand = (mode: string, host = 'localhost') =>
    `postgres://postgres@${host}:${cluster.port}/postgres?sslmode=${mode}&sslrootcert=${encodeURIComponent(authority)}`;
  const isEncrypted = sql`select ssl from pg_stat_ssl where pid = pg_backend_pid()`;
  t.not(await failureOf(open(t, demand('verify-full')).db.execute(isEncrypted)), 'none', 'a server that cannot is not talked to');

  for (const [name, content] of Object.entries({ cert, key })) {
    asPostgres('sh', '-c', `umask 077; printf '%s' "$1" > "$2"`, 'sh', content, `${cluster.directory}/${name}.pem`);
  }
  cluster.stop();
  await cluster.configure(`ssl = on\nssl_cert_file = '${cluster.directory}/cert.pem'\nssl_key_file = '${cluster.directory}/key.pem'`);
  cluster.start();
  await migrateServerDatabase(demand('verify-full'));
  const { rows } = (await open(t, demand('verify-full')).db.execute(isEncrypted)) as unknown as { rows: object[] };
  t.same(rows, [{ ssl: true }]);
  t.not(await failureOf(open(t, demand('verify-full', '127.0.0.1')).db.execute(isEncrypted)), 'none', 'one by another name is not either');
});
