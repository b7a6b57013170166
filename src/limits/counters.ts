/** By how much one counter is to change. */
export interface Change {
  readonly key: string;
  /** Negative gives back what was counted before. */
  readonly by: number;
  /** For how long a counter goes on that begins with this change; one that is there keeps its window. */
  readonly windowSeconds: number;
}

/** A counter after a change. */
export interface Counter {
  readonly used: number;
  readonly resetsInSeconds: number;
}

/**
 * Counters with windows of time, in some store.
 *
 * A window begins with the first use and is of fixed length: afterwards the counter begins at nothing. Each change sees
 * all that were made before it, on whichever instance: of parallel ones no two see the same number.
 */
export interface Counters {
  /** Makes changes, and answers the counters in the same order. Rejects when the store is away. */
  add(changes: readonly Change[]): Promise<readonly Counter[]>;
}
