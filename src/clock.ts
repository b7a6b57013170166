/**
 * The time, as an argument.
 *
 * `offsetMs` is how far this clock runs ahead of the machine's: 0 in production, moved by tests. What instances
 * must agree on (leases, due times) is computed by the database as its own time plus this offset, so that two
 * instances whose machines disagree still agree with each other.
 */
export interface Clock {
  now(): Date;
  readonly offsetMs: number;
}

/** The machine's own clock. */
export const systemClock: Clock = {
  now: () => new Date(),
  offsetMs: 0,
};

/** Whole seconds since the epoch, rounded down: the unit of JWT times (RFC 7519 §2, NumericDate). */
export function epochSeconds(time: Date): number {
  return Math.floor(time.getTime() / 1000);
}
