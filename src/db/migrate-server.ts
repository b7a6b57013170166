import { drizzle } from 'drizzle-orm/node-postgres';
import { migrate } from 'drizzle-orm/node-postgres/migrator';
import pg from 'pg';
import type { Queryable } from './database.ts';
import { migrationsFolder } from './migrations-folder.ts';
import { retried } from './retries.ts';
import { findAppliedMigration, readNewestMigration } from './schema-version.ts';

/** Any number that no other program on the same database uses for its own advisory lock. */
const migrationLock = 7_146_220_261;

/**
 * Brings the schema of a PostgreSQL server up to date.
 *
 * Holds an advisory lock meanwhile, so that any number of instances may start at once: each migration runs once, and the
 * others wait for it. The lock is the transaction's, since a pooler may lead the next one to another connection.
 * What has to give way to requests, as they change tables in another order, is run again.
 */
export async function migrateServerDatabase(url: string): Promise<void> {
  await retried(() => migrateOnce(url));
}

async function migrateOnce(url: string): Promise<void> {
  const client = new pg.Client({ connectionString: url, connectionTimeoutMillis: 5000, application_name: 'latchkey migrate' });
  client.on('error', () => {});
  await client.connect();
  try {
    // Migrating asks for the privilege to create even where there is nothing to do.
    if (await isUpToDate(client)) return;
    await client.query('begin isolation level read committed');
    // Those that the role may have are for requests: another instance may take its time, and so may a migration.
    await client.query('set local statement_timeout = 0; set local lock_timeout = 0; set local idle_in_transaction_session_timeout = 0');
    await client.query('select pg_advisory_xact_lock($1)', [migrationLock]);
    // But nobody who asks for a table may have to wait behind a migration that waits for it.
    await client.query("set local lock_timeout = '5s'");
    // Runs all that is new in one transaction, which is this one: its own beginning has no effect, its end ends ours.
    await migrate(drizzle(client), { migrationsFolder });
  } finally {
    await client.end();
  }
}

async function isUpToDate(client: pg.Client): Promise<boolean> {
  const { rows } = await client.query("select to_regclass('drizzle.__drizzle_migrations') is not null as exists");
  return rows[0].exists && (await findAppliedMigration(drizzle(client) as unknown as Queryable)) >= (await readNewestMigration());
}
