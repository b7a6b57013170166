import { createWriteStream } from 'node:fs';
import type { Lifetime } from '../../support/lifetime.ts';

/**
 * `ok`: done, as was answered. `fail`: refused, and not done by this request; by one before it, perhaps. `unknown`: it may have been done or not, since the
 * connection broke, the answer did not come in time, or it was that the service could not tell (a 5xx).
 */
export type Outcome = 'ok' | 'fail' | 'unknown';

/** What clients do, by what a success of it means. */
export const operations = [
  'register',
  'log in',
  'confirm',
  'read',
  'refresh',
  'log out',
  'ask for a reset',
  'reset',
  // Of these, none may ever succeed.
  'read as a stranger',
  'log in with a wrong password',
  // Nor these, once what they come with is dead.
  'read with a dead session',
  'refresh a dead session',
  'refresh with a spent token',
  'log in with an old password',
  'reset with a spent token',
  // When all is over.
  'log in at the end',
  'confirm at the end',
] as const;
export type Operation = (typeof operations)[number];

/** One request, as its client saw it. Times are in milliseconds since the run began. */
export interface Entry {
  readonly operation: Operation;
  /** The address of whose it is, as the service compares addresses. */
  readonly person: string;
  readonly start: number;
  readonly end: number;
  /** When it was first tried; earlier than `start` for one that is tried again. */
  readonly since: number;
  readonly outcome: Outcome;
  readonly status?: number;
  readonly code?: string;
  /** When it may be tried again, as the answer says: `Retry-After`. */
  readonly retryAfter?: string;
  /** The user name that it asked for, as the service compares them. */
  readonly username?: string;
  /** The session that it opened, or came with. */
  readonly session?: string;
  /** Which token it came with: a digest. */
  readonly token?: string;
}

export interface History {
  readonly entries: readonly Entry[];
  /** Milliseconds since the run began. */
  now(): number;
  add(entry: Entry): void;
}

/** Keeps what clients did, in memory and as lines of JSON in a file. */
export function openHistory(run: Lifetime, file: string): History {
  const entries: Entry[] = [];
  const began = performance.now();
  const lines = createWriteStream(file);
  run.teardown(() => new Promise<void>((resolve) => lines.end(resolve)));
  return {
    entries,
    now: () => Math.round(performance.now() - began),
    add(entry) {
      entries.push(entry);
      lines.write(`${JSON.stringify(entry)}\n`);
    },
  };
}
