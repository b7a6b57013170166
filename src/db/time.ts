import { type Placeholder, type SQL, sql } from 'drizzle-orm';
import type { Clock } from '../clock.ts';

/**
 * The database's time, moved by the clock's offset, plus some seconds; in whole milliseconds, as the columns are.
 *
 * For leases and due times, which all instances must agree on whatever their own clocks say.
 */
export function databaseTime(clock: Clock, plusSeconds = 0): SQL<Date> {
  return databaseTimePlus(millisecondsFromNow(clock, plusSeconds));
}

/** {@link databaseTime}, for a prepared statement: what it takes is {@link millisecondsFromNow}. */
export function databaseTimePlus(milliseconds: number | Placeholder): SQL<Date> {
  return sql<Date>`date_trunc('milliseconds', now()) + ${milliseconds}::float8 * interval '1 millisecond'`;
}

/** How far a time is from the database's now. */
export function millisecondsFromNow(clock: Clock, plusSeconds = 0): number {
  return clock.offsetMs + plusSeconds * 1000;
}
