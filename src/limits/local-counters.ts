import type { Clock } from '../clock.ts';
import type { Counter, Counters } from './counters.ts';

interface Entry {
  readonly used: number;
  readonly resetsAt: number;
}

/** Some 10 MB when full; then what was not used for longest is forgotten. */
const capacity = 50_000;

/** Counters in this process, for as long as the others are away. */
export function createLocalCounters(clock: Clock): Counters {
  const entries = new Map<string, Entry>();

  function change(key: string, by: number, windowSeconds: number): Counter {
    const now = clock.now().getTime();
    const found = entries.get(key);
    const live = found !== undefined && found.resetsAt > now ? found : { used: 0, resetsAt: now + windowSeconds * 1000 };
    const entry = { ...live, used: Math.max(0, live.used + by) };
    // Last in order again.
    entries.delete(key);
    entries.set(key, entry);
    for (const oldest of entries.keys()) {
      if (entries.size <= capacity) break;
      entries.delete(oldest);
    }
    return { used: entry.used, resetsInSeconds: (entry.resetsAt - now) / 1000 };
  }

  return { add: async (changes) => changes.map(({ key, by, windowSeconds }) => change(key, by, windowSeconds)) };
}
