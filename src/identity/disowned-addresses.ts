import { eq, lt } from 'drizzle-orm';
import type { Clock } from '../clock.ts';
import type { Queryable } from '../db/database.ts';
import { prepared } from '../db/prepared.ts';
import { disownedAddresses } from '../db/schema.ts';

const quietMs = 24 * 3600 * 1000;

/** Keeps an address free of confirmation mails for a day: its owner has said that they did not register. */
export async function disownAddress(tx: Queryable, emailCanonical: string, clock: Clock): Promise<void> {
  const until = new Date(clock.now().getTime() + quietMs);
  await tx
    .insert(disownedAddresses)
    .values({ emailCanonical, until })
    .onConflictDoUpdate({ target: disownedAddresses.emailCanonical, set: { until } });
}

const disownedAddress = prepared('disowned_address', ['emailCanonical'], (db, { emailCanonical }) =>
  db.select().from(disownedAddresses).where(eq(disownedAddresses.emailCanonical, emailCanonical)),
);

/** How many seconds an address is to be left alone for; 0 when it may be written to. */
export async function quietSeconds(db: Queryable, emailCanonical: string, now: Date): Promise<number> {
  const [row] = await disownedAddress(db, { emailCanonical });
  return row === undefined ? 0 : Math.max(0, (row.until.getTime() - now.getTime()) / 1000);
}

/** Forgets the addresses whose day is over, and answers 0: there are never many. */
export async function purgeDisowned(db: Queryable, now: Date): Promise<number> {
  await db.delete(disownedAddresses).where(lt(disownedAddresses.until, now));
  return 0;
}
