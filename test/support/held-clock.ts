import { eq } from 'drizzle-orm';
import type { Queryable } from '../../src/db/database.ts';
import { mails } from '../../src/db/schema.ts';
import type { ManualClock } from './clock.ts';
import { eventually } from './eventually.ts';

/**
 * Makes a clock stand still at an instant, so that the edge of a limit can be hit to the millisecond. Never back in time.
 *
 * The database's time goes on from there: by as much as the test has taken until it is asked, a limit that it measures is reached sooner.
 */
export function holdClock(clock: ManualClock, at: Date): void {
  clock.offsetMs = at.getTime() - Date.now();
  clock.now = () => new Date(at);
}

/** Waits until every mail has been sent: one that is under way while the clock leaps past its lease would come twice. */
export async function outboxEmpty(tables: Queryable): Promise<void> {
  await eventually('every mail is sent', async () => (await tables.$count(mails, eq(mails.status, 'queued'))) === 0);
}

/** Makes a clock stand still so many seconds from where it is, once no mail is under way. */
export async function leap(clock: ManualClock, tables: Queryable, seconds: number): Promise<void> {
  await outboxEmpty(tables);
  holdClock(clock, new Date(clock.now().getTime() + seconds * 1000));
}
