import { and, eq, gt, inArray, lt, sql } from 'drizzle-orm';
import type { Queryable } from '../db/database.ts';
import { prepared } from '../db/prepared.ts';
import { knownNetworks } from '../db/schema.ts';

const dayMs = 24 * 3600 * 1000;
/** For how long a network is known after the last login from it. */
const knownDays = 90;
/** No owner's id; so that the question costs as much for an account that there is not. */
const nobody = '00000000-0000-0000-0000-000000000000';

/**
 * Tells whether somebody who knew the password has come from a network lately.
 *
 * @param networks the digests that it may have been kept as: the networks themselves are nowhere stored
 */
export async function isKnownNetwork(db: Queryable, userId: string | undefined, networks: readonly string[], now: Date): Promise<boolean> {
  const isIt = and(eq(knownNetworks.userId, userId ?? nobody), inArray(knownNetworks.network, [...networks]));
  const rows = await db
    .select({ network: knownNetworks.network })
    .from(knownNetworks)
    .where(and(isIt, gt(knownNetworks.lastUsedAt, longAgo(now))));
  return rows.length > 0;
}

const knownNetwork = prepared('known_network', ['userId', 'network', 'lastUsedAt', 'longBefore'], (db, { longBefore, ...row }) =>
  db
    .insert(knownNetworks)
    .values(row)
    .onConflictDoUpdate({
      target: [knownNetworks.userId, knownNetworks.network],
      set: { lastUsedAt: sql`excluded.last_used_at` },
      setWhere: lt(knownNetworks.lastUsedAt, longBefore),
    }),
);

/** Keeps the network that somebody who knew the password has come from. */
export async function rememberNetwork(tx: Queryable, userId: string, network: string, now: Date): Promise<void> {
  // Once a day is enough, and spares most logins the write.
  await knownNetwork(tx, { userId, network, lastUsedAt: now, longBefore: new Date(now.getTime() - dayMs) });
}

/** Forgets the networks of an account: whoever knew the old password from there is a stranger now. */
export async function forgetNetworks(tx: Queryable, userId: string): Promise<void> {
  await tx.delete(knownNetworks).where(eq(knownNetworks.userId, userId));
}

/** Deletes some of those that are no longer known, and answers how many. */
export async function purgeNetworks(db: Queryable, now: Date, limit: number): Promise<number> {
  const { userId, network, lastUsedAt } = knownNetworks;
  const old = db
    .select({ userId, network })
    .from(knownNetworks)
    .where(lt(lastUsedAt, longAgo(now)))
    .limit(limit)
    .for('update', { skipLocked: true });
  return (
    await db
      .delete(knownNetworks)
      .where(inArray(sql`(${userId}, ${network})`, old))
      .returning({ userId })
  ).length;
}

function longAgo(now: Date): Date {
  return new Date(now.getTime() - knownDays * dayMs);
}
