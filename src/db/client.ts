import { drizzle } from 'drizzle-orm/node-postgres';
import pg from 'pg';
import type { Database } from './database.ts';
import * as schema from './schema.ts';

export interface PoolOptions {
  readonly url: string;
  readonly onIdleError: (error: Error) => void;
}

/**
 * Opens a pool of connections to a PostgreSQL server. Connects with the first query, not before.
 *
 * A connection that dies while idle is reported and replaced; it does not end the process.
 */
export function openPool({ url, onIdleError }: PoolOptions): Database {
  const pool = new pg.Pool({ connectionString: url, max: 10, connectionTimeoutMillis: 2000, application_name: 'latchkey' });
  pool.on('error', onIdleError);
  return { db: drizzle(pool, { schema }), close: () => pool.end() };
}
