import type { PgDatabase, PgQueryResultHKT } from 'drizzle-orm/pg-core';
import type * as schema from './schema.ts';

/**
 * Whatever runs a query: the pool, the embedded database, or a transaction of either.
 *
 * Functions take it first and never guess, so that nothing runs outside the transaction it belongs to.
 */
export type Queryable = PgDatabase<PgQueryResultHKT, typeof schema>;

/** Connections of a pool. */
export interface PoolUse {
  /** How many there may be. */
  readonly size: number;
  readonly busy: number;
  readonly idle: number;
  /** How many wait for one. */
  readonly waiting: number;
}

/** An open database, of either engine. */
export interface Database {
  readonly db: Queryable;
  /** The same database, for the feed of ended sessions alone, so that nobody can keep it from learning of them. */
  readonly feedDb: Queryable;
  /** How the connections to a server are used; none to an embedded one. */
  poolUse(): PoolUse;
  close(): Promise<void>;
}

interface DriverError {
  readonly code?: string;
  readonly constraint?: string;
}

/** The name of the constraint that an insert or update ran into (SQLSTATE 23505), if that is what failed. */
export function violatedConstraint(error: unknown): string | undefined {
  const { code, constraint } = ((error as Error).cause ?? {}) as DriverError;
  return code === '23505' ? constraint : undefined;
}
