import { type SQL, sql } from 'drizzle-orm';
import type { Clock } from '../clock.ts';

/**
 * The database's time, moved by the clock's offset, plus some seconds; in whole milliseconds, as the columns are.
 *
 * For leases and due times, which all instances must agree on whatever their own clocks say.
 */
export function databaseTime(clock: Clock, plusSeconds = 0): SQL<Date> {
  const milliseconds = clock.offsetMs + plusSeconds * 1000;
  return sql<Date>`date_trunc('milliseconds', now()) + ${milliseconds}::float8 * interval '1 millisecond'`;
}
