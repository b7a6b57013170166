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
  /**
   * Lets in a whole request that will need a permit, before it costs anything: no more at a time than there are permits
   * and places in the queue.
   *
   * @throws Problem `service_unavailable` at once when there are too many
   */
  admit<Result>(work: () => Promise<Result>): Promise<Result>;
}

interface PermitsOptions {
  readonly size: number;
  readonly maxWaiting: number;
}

/** What a client that was turned away is told to wait: about as long as the queue lasts. */
const retryAfterSeconds = 2;

export function createPermits({ size, maxWaiting }: PermitsOptions): Permits {
  const waiting: (() => void)[] = [];
  let free = size;
  let admitted = 0;

  async function acquire(): Promise<void> {
    if (free > 0) {
      free -= 1;
      return;
    }
    if (waiting.length >= maxWaiting) throw new Problem('service_unavailable', { retryAfterSeconds });
    await new Promise<void>((resolve) => waiting.push(resolve));
  }

  function release(): void {
    const next = waiting.shift();
    if (next) next();
    else free += 1;
  }

  return {
    async admit(work) {
      if (admitted >= size + maxWaiting) throw new Problem('service_unavailable', { retryAfterSeconds });
      admitted += 1;
      try {
        return await work();
      } finally {
        admitted -= 1;
      }
    },

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
