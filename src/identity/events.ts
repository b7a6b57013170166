import { v7 as timeOrderedUuid } from 'uuid';
import type { Clock } from '../clock.ts';
import type { Queryable } from '../db/database.ts';
import { type EventType, events } from '../db/schema.ts';

/** Where a request came from, as the owner of an account will be shown it. */
export interface Origin {
  readonly ip: string;
  readonly userAgent: string | undefined;
}

/** User agents are shown, never acted upon: what is longer is of no use to anybody. */
const maxUserAgentLength = 512;

/** An origin in the form of the columns that keep it. */
export function originColumns({ ip, userAgent }: Origin): { ip: string; userAgent: string | null } {
  return { ip, userAgent: userAgent?.slice(0, maxUserAgentLength) ?? null };
}

/** Records what happened to an account, inside the transaction of what it tells. */
export async function recordEvent(tx: Queryable, userId: string, type: EventType, origin: Origin, clock: Clock): Promise<void> {
  const at = clock.now();
  await tx.insert(events).values({ id: timeOrderedUuid({ msecs: at.getTime() }), userId, type, at, ...originColumns(origin) });
}
