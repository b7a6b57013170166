import { eq, sql } from 'drizzle-orm';
import t from 'tap';
import { openPool } from '../../src/db/client.ts';
import type { Queryable } from '../../src/db/database.ts';
import { migrateServerDatabase } from '../../src/db/migrate-server.ts';
import { prepared } from '../../src/db/prepared.ts';
import { roles } from '../../src/db/schema.ts';
import { findUserById } from '../../src/identity/users.ts';
import { noPostgres, startCluster } from '../support/cluster.ts';

const nobody = '01946d5e-7b1c-7a3e-8f2d-0123456789ab';

t.test('prepared statements', { skip: noPostgres }, async (t) => {
  const cluster = await startCluster(t);
  await migrateServerDatabase(cluster.url);
  function open(keepsStatements: boolean) {
    const traits = { takesTimeouts: true, keepsStatements };
    const database = openPool({ url: cluster.url, onIdleError: () => {}, size: 1, traits });
    t.teardown(database.close);
    return database.db;
  }
  async function namesKept(db: Queryable): Promise<string[]> {
    const { rows } = (await db.execute(sql`select name from pg_prepared_statements`)) as unknown as { rows: { name: string }[] };
    return rows.map(({ name }) => name);
  }

  t.test('are built once for each connection, inside and outside of transactions, and kept by the server', async (t) => {
    let builds = 0;
    const role = prepared('role', ['name'], (db, { name }) => {
      builds += 1;
      return db.select().from(roles).where(eq(roles.name, name));
    });
    const db = open(true);
    for (const name of ['user', 'admin', 'nobody']) {
      t.strictSame(await role(db, { name }), name === 'nobody' ? [] : [{ name }], 'filled in anew');
    }
    t.equal(builds, 1);
    for (const name of ['user', 'admin']) t.strictSame(await db.transaction((tx) => role(tx, { name })), [{ name }]);
    t.equal(builds, 2, 'a transaction goes over a connection of its own');
    t.strictSame(await namesKept(db), ['role']);
  });

  t.test('have no name where the next one may come to another connection', async (t) => {
    const db = open(false);
    t.equal(await findUserById(db, nobody), undefined);
    t.equal(await db.transaction((tx) => findUserById(tx, nobody)), undefined);
    t.strictSame(await namesKept(db), []);
  });

  t.test('survive a column that is added while they are kept, as in a rolling upgrade', async (t) => {
    const db = open(true);
    t.equal(await findUserById(db, nobody), undefined);
    await db.execute(sql`alter table users add column nickname text`);
    t.equal(await findUserById(db, nobody), undefined);
  });
});
