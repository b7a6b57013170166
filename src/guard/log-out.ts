import type { Clock } from '../clock.ts';
import type { Queryable } from '../db/database.ts';
import type { EventType } from '../db/kinds.ts';
import { type Origin, recordEvent } from '../identity/events.ts';
import { endSessionsById } from '../identity/sessions.ts';
import type { RevocationFeed } from './revocation-feed.ts';

interface Needs {
  readonly clock: Clock;
  readonly db: Queryable;
  readonly revocations: RevocationFeed;
}

/**
 * Ends sessions of a user and records it, if there were any; this instance knows at once.
 *
 * @returns the ids of the sessions that this has ended
 */
export async function endSessionsAs(
  { clock, db, revocations }: Needs,
  userId: string,
  type: EventType,
  origin: Origin,
  endThem: (tx: Queryable) => Promise<string[]>,
): Promise<string[]> {
  const ended = await db.transaction(async (tx) => {
    const ids = await endThem(tx);
    if (ids.length > 0) await recordEvent(tx, userId, type, origin, clock);
    return ids;
  });
  revocations.note(ended);
  return ended;
}

/** Which session, and whose. */
export interface SessionIds {
  readonly id: string;
  readonly userId: string;
}

/** Ends the session that asks for it; if another request has just done so, that is as well. */
export async function logOut(needs: Needs, { id, userId }: SessionIds, origin: Origin): Promise<void> {
  await endSessionsAs(needs, userId, 'logged_out', origin, (tx) => endSessionsById(tx, userId, [id], needs.clock));
}
