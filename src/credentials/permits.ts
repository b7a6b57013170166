import { Problem } from '../problems/problem.ts';

/** A bounded number of places to work in, with a short queue before them. */
export interface Permits {
  /**
   * Runs some work as soon as a permit is free, first come first served. The permit is given back when the work ends,
   * whether or not anybody still waits for its result.
   *
   * @throws Problem `service_unavailable` at once when the queue is full
   */
  run<Result>(work: () => Promise<Result>): Promise<Result>;
  /** How many permits are taken, and how many wait for one. */
  use(): PermitUse;
  /** What `run` would refuse with at this moment, if it would. */
  refusal(): Problem | undefined;
}

export interface PermitUse {
  readonly size: number;
  readonly taken: number;
  readonly waiting: number;
}

interface PermitsOptions {
  readonly size: number;
  readonly maxWaiting: number;
}

/**
 * What everybody is told who is turned away: to wait about as long as the queue lasts. One for all of them, since a
 * flood is no time to collect stack traces.
 */
const full = new Problem('service_unavailable', { retryAfterSeconds: 2 });

export function createPermits({ size, maxWaiting }: PermitsOptions): Permits {
  const waiting: (() => void)[] = [];
  let free = size;

  const refusal = (): Problem | undefined => (free === 0 && waiting.length >= maxWaiting ? full : undefined);

  async function acquire(): Promise<void> {
    const refused = refusal();
    if (refused) throw refused;
    if (free > 0) free -= 1;
    else await new Promise<void>((resolve) => waiting.push(resolve));
  }

  function release(): void {
    const next = waiting.shift();
    if (next) next();
    else free += 1;
  }

  return {
    refusal,
    use: () => ({ size, taken: size - free, waiting: waiting.length }),

    async run(work) {
      await acquire();
      try {
        return await work();
      } finally {
        release();
      }
    },
  };
}
