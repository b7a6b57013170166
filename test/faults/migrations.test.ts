import { readdir } from 'node:fs/promises';
import pg from 'pg';
import t from 'tap';
import { migrationsFolder } from '../../src/db/migrations-folder.ts';
import { createDatabase, onServer, query, withParameters } from '../support/database.ts';
import { eventually } from '../support/eventually.ts';
import { startProcess } from '../support/process.ts';
import { startInstance } from '../support/service.ts';

t.test(
  'Z27: what is left of migrations whose instance was killed is nothing',
  { skip: !onServer && 'needs a PostgreSQL server' },
  async (t) => {
    const { DATABASE_URL = '' } = await createDatabase(t);
    const other = new pg.Client({ connectionString: DATABASE_URL });
    await other.connect();
    t.teardown(() => other.end());
    // In the way of a migration in the middle: of what was created before, nobody knows yet.
    await other.query('begin; create table mails (id int)');
    const victim = startProcess(t, { file: 'src/server.ts' }, { DATABASE_URL, DATA_DIR: t.testdir(), PORT: '0' });
    const waits = `select from pg_stat_activity where application_name = 'latchkey migrate' and wait_event_type = 'Lock' and datname = current_database()`;
    await eventually('it is in the middle', async () => (await query(DATABASE_URL, waits)).rowCount === 1, 60_000);
    victim.child.kill('SIGKILL');
    await victim.ended();
    await other.query('rollback');
    await eventually('the server has noticed', async () => {
      const { rowCount } = await query(
        DATABASE_URL,
        `select from pg_stat_activity where application_name = 'latchkey migrate' and datname = current_database()`,
      );
      return rowCount === 0;
    });
    t.strictSame((await query(DATABASE_URL, `select tablename from pg_tables where schemaname = 'public'`)).rows, []);

    const instances = await Promise.all([1, 2, 3].map(() => startInstance(t, { DATABASE_URL, DATA_DIR: t.testdir() })));
    for (const instance of instances) t.equal((await instance.get('/health/ready')).status, 200);
    const count = (await readdir(migrationsFolder)).filter((file) => file.endsWith('.sql')).length;
    t.equal((await query(DATABASE_URL, 'select from drizzle.__drizzle_migrations')).rowCount, count, 'each has run once');
  },
);

t.test('a migration that has to give way to somebody is run again', { skip: !onServer && 'needs a PostgreSQL server' }, async (t) => {
  const { DATABASE_URL = '' } = await createDatabase(t);
  const other = new pg.Client({ connectionString: DATABASE_URL });
  await other.connect();
  t.teardown(() => other.end());
  // Of two that wait for each other, it is not this one that gives up; the other looks once, by when this one has to wait, too.
  await other.query("set deadlock_timeout = '1min'");
  await other.query('begin; create table mails (id int)');
  const patient = withParameters(DATABASE_URL, { options: '-c deadlock_timeout=3s' });
  const starting = startInstance(t, { DATABASE_URL: patient, DATA_DIR: t.testdir() });
  const holder = `select objid from pg_locks where locktype = 'advisory' and granted and pid <> pg_backend_pid()
    and database = (select oid from pg_database where datname = current_database())`;
  await eventually('it holds its own lock', async () => (await query(DATABASE_URL, holder)).rowCount === 1, 60_000);
  const { classid, objid } = (await query(DATABASE_URL, holder.replace('objid', 'classid::bigint, objid::bigint'))).rows[0];
  await other.query('select pg_advisory_xact_lock($1)', [String(BigInt(classid) * 2n ** 32n + BigInt(objid))]);
  await other.query('rollback');
  t.equal((await (await starting).get('/health/ready')).status, 200);
});
