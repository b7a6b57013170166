import type { FastifyBaseLogger } from 'fastify';
import type { Clock } from '../clock.ts';
import type { Change, Counters } from './counters.ts';
import { createLocalCounters } from './local-counters.ts';

interface ResilientOptions {
  /** The counters that all instances share. */
  readonly shared: Counters;
  /** How long a request waits for them, in milliseconds. */
  readonly patienceMs: number;
  readonly clock: Clock;
  readonly log: FastifyBaseLogger;
}

/** While an instance is on its own, everything counts so many times: it cannot know what the others let through. */
export const localWeight = 4;
/** While the shared counters are away, one request in so long asks whether they are back; all others do not wait for them. */
const askAgainMs = 1000;

/**
 * Counters that are always there: the shared ones, and while they are away or slow, stricter ones of this process.
 * Never fails; a request is held up for `patienceMs` at most.
 */
export function createResilientCounters({ shared, patienceMs, clock, log }: ResilientOptions): Counters {
  const local = createLocalCounters(clock);
  let isAway = false;
  let askAt = 0;

  return {
    async add(changes) {
      if (isAway && performance.now() < askAt) return local.add(weighed(changes));
      askAt = performance.now() + askAgainMs;
      try {
        const counters = await inTime(shared.add(changes), patienceMs);
        if (isAway) log.info('the shared counters of the limits are back');
        isAway = false;
        return counters;
      } catch (err) {
        if (!isAway) log.warn({ err }, 'the shared counters of the limits are away: this instance counts by itself, more strictly');
        isAway = true;
        askAt = performance.now() + askAgainMs;
        return local.add(weighed(changes));
      }
    },
  };
}

function weighed(changes: readonly Change[]): Change[] {
  return changes.map((change) => ({ ...change, by: change.by * localWeight }));
}

async function inTime<Result>(work: Promise<Result>, patienceMs: number): Promise<Result> {
  let timer: NodeJS.Timeout | undefined;
  const late = new Promise<never>((_, reject) => {
    const giveUp = () => reject(new Error(`no answer within ${patienceMs} ms`));
    // An answer that has come while this process was busy is read first.
    timer = setTimeout(() => setImmediate(giveUp), patienceMs);
  });
  try {
    return await Promise.race([work, late]);
  } finally {
    clearTimeout(timer);
  }
}
