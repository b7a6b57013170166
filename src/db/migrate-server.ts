import { drizzle } from 'drizzle-orm/node-postgres';
import { migrate } from 'drizzle-orm/node-postgres/migrator';
import pg from 'pg';
import { migrationsFolder } from './migrations-folder.ts';

/** Any number that no other program on the same database uses for its own advisory lock. */
const migrationLock = 7_146_220_261;

/**
 * Brings the schema of a PostgreSQL server up to date.
 *
 * Holds an advisory lock on a connection of its own meanwhile, so that any number of instances may start at once:
 * each migration runs once, and the others wait for it.
 */
export async function migrateServerDatabase(url: string): Promise<void> {
  const client = new pg.Client({ connectionString: url, connectionTimeoutMillis: 5000, application_name: 'latchkey migrate' });
  await client.connect();
  try {
    await client.query('select pg_advisory_lock($1)', [migrationLock]);
    await migrate(drizzle(client), { migrationsFolder });
  } finally {
    await client.end();
  }
}
