import { and, inArray, isNotNull } from 'drizzle-orm';
import type { FastifyBaseLogger } from 'fastify';
import type { Queryable } from '../db/database.ts';
import { users } from '../db/schema.ts';
import type { RevocationFeed } from '../guard/revocation-feed.ts';
import { createRepeater } from '../repeater.ts';

/** Somebody who waits for an address to be confirmed. */
export interface Waiter {
  readonly userId: string;
  readonly sessionId: string;
  /** Called once: the address is confirmed, or there is nothing to wait for any more. */
  readonly done: (outcome: 'confirmed' | 'ended') => void;
}

/** Tells those who wait that an address has been confirmed, on whichever instance that was. */
export interface ConfirmationFeed {
  /** @returns a function that ends the waiting */
  wait(waiter: Waiter): () => void;
  close(): Promise<void>;
}

/** It is known everywhere within a second, the query included. */
const lookEveryMs = 500;

/** One query for all who wait, and none while nobody does; no connection is held. */
export function createConfirmationFeed(
  { db, revocations }: { readonly db: Queryable; readonly revocations: RevocationFeed },
  log: FastifyBaseLogger,
): ConfirmationFeed {
  const waiters = new Set<Waiter>();
  let closed = false;

  function settle(waiter: Waiter, outcome: 'confirmed' | 'ended'): void {
    if (waiters.delete(waiter)) waiter.done(outcome);
  }

  async function look(): Promise<void> {
    for (const waiter of waiters) if (revocations.isRevoked(waiter.sessionId)) settle(waiter, 'ended');
    if (waiters.size === 0) return;
    const ids = [...new Set([...waiters].map(({ userId }) => userId))];
    const isConfirmed = and(inArray(users.id, ids), isNotNull(users.confirmedAt));
    const confirmed = new Set((await db.select({ id: users.id }).from(users).where(isConfirmed)).map(({ id }) => id));
    for (const waiter of waiters) if (confirmed.has(waiter.userId)) settle(waiter, 'confirmed');
  }

  const looking = createRepeater({ work: look, everyMs: lookEveryMs, log, complaint: 'confirmations cannot be looked up' });
  return {
    wait(waiter) {
      waiters.add(waiter);
      if (closed) setImmediate(() => settle(waiter, 'ended'));
      looking.wake(0);
      return () => settle(waiter, 'ended');
    },
    async close() {
      closed = true;
      for (const waiter of waiters) settle(waiter, 'ended');
      await looking.close();
    },
  };
}
