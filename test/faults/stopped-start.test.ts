import pg from 'pg';
import t from 'tap';
import { createDatabase, onServer } from '../support/database.ts';
import { eventually } from '../support/eventually.ts';
import { startProcess } from '../support/process.ts';

t.test(
  'an instance that is told to stop while it waits for the migrations of another is closed in order',
  { skip: !onServer && 'needs a PostgreSQL server' },
  async (t) => {
    const { DATABASE_URL = '' } = await createDatabase(t);
    const other = new pg.Client({ connectionString: DATABASE_URL });
    await other.connect();
    t.teardown(() => other.end());
    await other.query('select pg_advisory_lock(7146220261)');
    const env = { DATABASE_URL, DATA_DIR: t.testdir(), PORT: '0', LOG_LEVEL: 'silent' };
    const instance = startProcess(t, { file: 'src/server.ts' }, env);
    const waits = `select from pg_locks where locktype = 'advisory' and not granted
      and database = (select oid from pg_database where datname = current_database())`;
    await eventually('it waits', async () => (await other.query(waits)).rowCount === 1, 60_000);
    instance.child.kill('SIGTERM');
    await other.query('select pg_advisory_unlock_all()');
    t.same(await instance.ended(), { code: 0, signal: null });
    t.equal(instance.output.stderr, '');
    t.notMatch(instance.output.stdout, /answers at/, 'it did not listen');
    t.equal((await other.query('select from users')).rowCount, 0, 'what it had begun is done');
  },
);
