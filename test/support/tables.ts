import { PGlite } from '@electric-sql/pglite';
import { sql } from 'drizzle-orm';
import { drizzle } from 'drizzle-orm/pglite';
import type { Test } from 'tap';
import { openPool } from '../../src/db/client.ts';
import type { Queryable } from '../../src/db/database.ts';
import * as schema from '../../src/db/schema.ts';
import type { Service } from './service.ts';

/** The embedded databases that were opened since this module was loaded, by directory: each can be opened once only. */
const engines = new Map<string, PGlite>();
const create = PGlite.create as (directory: string) => Promise<PGlite>;
PGlite.create = (async (directory: string) => {
  const engine = await create.call(PGlite, directory);
  engines.set(directory, engine);
  return engine;
}) as typeof PGlite.create;

/** The tables of a service, behind its back: for what no request can bring about, and for looking at what it keeps. */
export function openTables(t: Test, { env }: Pick<Service, 'env'>): Queryable {
  const { DATABASE_URL, DATA_DIR } = env;
  if (DATABASE_URL !== undefined) {
    const pool = openPool({ url: DATABASE_URL, onIdleError: () => {} });
    t.teardown(() => pool.close());
    return pool.db;
  }
  const engine = engines.get(`${DATA_DIR}/database`);
  if (engine === undefined) throw new Error(`no service has its database in ${DATA_DIR}`);
  return drizzle(engine, { schema });
}

/** How many transactions on this database, which is on a server, wait for a lock that another one holds. */
export async function countWaiting(tables: Queryable): Promise<number> {
  const blocked = sql`select 1 from pg_stat_activity where datname = current_database() and wait_event_type = 'Lock'`;
  return ((await tables.execute(blocked)) as unknown as { rows: unknown[] }).rows.length;
}

/** Whether there is any. */
export async function isSomebodyWaiting(tables: Queryable): Promise<boolean> {
  return (await countWaiting(tables)) > 0;
}
