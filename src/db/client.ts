import { drizzle } from 'drizzle-orm/node-postgres';
import pg from 'pg';
import type { Database, Queryable } from './database.ts';
import { nameStatements } from './prepared.ts';
import { retried } from './retries.ts';
import * as schema from './schema.ts';
import { isDatabaseUnavailable } from './unavailable.ts';

interface PoolOptions {
  readonly url: string;
  readonly onIdleError: (error: Error) => void;
  /** Connections at most, 10 by default, for all that is asked for; the feed of ended sessions has one more to itself. */
  readonly size?: number;
  /** What may be asked of whatever is at the address: see {@link traitsOf}. */
  readonly traits?: ServerTraits;
}

export interface ServerTraits {
  /** Whether it takes time-outs at the beginning of a connection, and keeps to them. */
  readonly takesTimeouts: boolean;
  /** Whether a connection to it is one to the server, which knows later what was prepared over it. */
  readonly keepsStatements: boolean;
}

/**
 * What the server ends by itself, in milliseconds: a statement, a wait for a lock, and a transaction in which nothing happens.
 *
 * The wait for a lock is a little longer than the second after which PostgreSQL looks for deadlocks: it would end both transactions
 * of one, and by a code that may as well stand for a lock that somebody holds for long, which is not worth another wait.
 */
export const serverTimeouts = { statement_timeout: 3000, lock_timeout: 1200, idle_in_transaction_session_timeout: 10_000 };
const serverItself: ServerTraits = { takesTimeouts: true, keepsStatements: true };
/** How long it is waited for a connection, and for a server that has gone without a word. */
const clientTimeouts = { connectionTimeoutMillis: 2000, query_timeout: 4000 };

/**
 * Opens pools of connections to a PostgreSQL server. Connects with the first query, not before.
 *
 * A connection that dies while idle is reported and replaced; it does not end the process. Transactions that the server
 * has to give up, since they got into each other's way, are run again, and so are statements outside of one.
 */
export function openPool({ url, onIdleError, size = 10, traits = serverItself }: PoolOptions): Database {
  function wrap(client: pg.Pool | pg.PoolClient): Queryable {
    const db = drizzle(client, { schema }) as Queryable;
    if (traits.keepsStatements) nameStatements(db);
    return db;
  }

  function open(max: number) {
    const timeouts = { ...clientTimeouts, ...(traits.takesTimeouts && serverTimeouts) };
    const pool = new pg.Pool({ connectionString: url, max, keepAlive: true, application_name: 'latchkey', ...timeouts });
    pool.on('error', onIdleError);
    // A statement by itself is a transaction: a migration that changes two tables gets into the way of those that read both.
    const query = pool.query.bind(pool) as (...args: unknown[]) => Promise<unknown>;
    pool.query = ((...args: unknown[]) => retried(() => query(...args))) as typeof pool.query;
    // While it is in use, what is asked over it fails; that it is lost must not end the process besides.
    pool.on('connect', (client) => void client.on('error', () => {}));
    /** One for each connection, with the statements that were prepared over it. */
    const wrapped = new WeakMap<pg.PoolClient, Queryable>();
    function own(client: pg.PoolClient): Queryable {
      const db = wrapped.get(client) ?? wrap(client);
      wrapped.set(client, db);
      return db;
    }
    const transaction: Queryable['transaction'] = (work, config) =>
      retried(() => onOneConnection(pool, (client) => own(client).transaction(work, config)));
    return { db: Object.assign(wrap(pool), { transaction }), pool };
  }
  const [all, feed] = [open(size), open(1)];
  return {
    db: all.db,
    feedDb: feed.db,
    poolUse() {
      const { totalCount, idleCount, waitingCount } = all.pool;
      return { size, busy: totalCount - idleCount, idle: idleCount, waiting: waitingCount };
    },
    close: async () => void (await Promise.all([all.pool.end(), feed.pool.end()])),
  };
}

/** A connection over which the database could not be reached, or no longer be written to, is not used again. */
async function onOneConnection<Result>(pool: pg.Pool, transaction: (client: pg.PoolClient) => Promise<Result>): Promise<Result> {
  const client = await pool.connect();
  try {
    const result = await transaction(client);
    client.release();
    return result;
  } catch (error) {
    client.release(isDatabaseUnavailable(error));
    throw error;
  }
}

/**
 * Finds out what may be asked of whatever is at an address. PgBouncer takes no time-outs, and a connection to it is none
 * to the server: there the role has to bring them, `ALTER ROLE … SET statement_timeout = '3s'`.
 */
export async function traitsOf(url: string): Promise<ServerTraits> {
  const client = new pg.Client({ connectionString: url, connectionTimeoutMillis: 5000, application_name: 'latchkey', ...serverTimeouts });
  client.on('error', () => {});
  try {
    await client.connect();
    const question = 'select setting, pg_backend_pid() as pid from pg_settings where name = $1';
    const [row] = (await client.query(question, ['statement_timeout'])).rows;
    // A pooler names a process of its own when it is connected to (PostgreSQL's manual, 55.2.1), and another one answers.
    const { processID } = client as unknown as { processID: number };
    return { takesTimeouts: Number(row?.setting) === serverTimeouts.statement_timeout, keepsStatements: row?.pid === processID };
  } catch (error) {
    if ((error as { code?: string }).code === '08P01') return { takesTimeouts: false, keepsStatements: false };
    throw error;
  } finally {
    await client.end();
  }
}
