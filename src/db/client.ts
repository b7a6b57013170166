import { drizzle } from 'drizzle-orm/node-postgres';
import pg from 'pg';
import type { Database } from './database.ts';
import * as schema from './schema.ts';

export interface PoolOptions {
  readonly url: string;
  readonly onIdleError: (error: Error) => void;
}

/** Connections at most, of one instance: for all that is asked for, and for the feed of ended sessions. */
const connections = { all: 10, feed: 1 };

/**
 * Opens pools of connections to a PostgreSQL server. Connects with the first query, not before.
 *
 * A connection that dies while idle is reported and replaced; it does not end the process.
 */
export function openPool({ url, onIdleError }: PoolOptions): Database {
  const [all, feed] = [connections.all, connections.feed].map((max) => {
    const pool = new pg.Pool({ connectionString: url, max, connectionTimeoutMillis: 2000, keepAlive: true, application_name: 'latchkey' });
    pool.on('error', onIdleError);
    return pool;
  }) as [pg.Pool, pg.Pool];
  return {
    db: drizzle(all, { schema }),
    feedDb: drizzle(feed, { schema }),
    close: async () => void (await Promise.all([all.end(), feed.end()])),
  };
}
