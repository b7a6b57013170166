import { setTimeout as pause } from 'node:timers/promises';
import type { History } from './history.ts';
import type { Instance } from './instances.ts';
import type { Injected, Mishap } from './nemesis.ts';
import type { Pulse } from './pulse.ts';
import { createRandom } from './seed.ts';

interface RaidOptions {
  readonly instances: readonly Pick<Instance, 'name' | 'kill'>[];
  readonly history: Pick<History, 'now'>;
  readonly pulse: Pulse;
  /** How often one of them is killed, all in all. */
  readonly rounds: number;
  readonly seed: number;
  readonly say: (line: string) => void;
}

const kind = 'instance: kill -9';
/** So often, one is killed although another one has not come back yet. */
const merciless = 0.1;
const givenUpAfterMs = 30_000;

/**
 * Kills instances at random, again and again: each has a killer of its own, who waits most of the time for the others to
 * be back. Afterwards, waits until the service has recovered.
 */
export async function raid(options: RaidOptions): Promise<{ injected: Injected[]; mishap?: Mishap }> {
  const { instances, history, pulse, rounds, seed, say } = options;
  const injected: Injected[] = [];
  const returning = new Set<Promise<void>>();
  let [begun, mishap]: [number, Mishap | undefined] = [0, undefined];

  async function killOnce({ name, kill }: RaidOptions['instances'][number]): Promise<void> {
    const from = history.now();
    await kill();
    const to = history.now();
    // Only after the last one there is time to find out how long it takes.
    injected.push({ kind, from, to, wholeAt: to, unavailableMs: pulse.unavailableSince(from), recoveredAfterMs: 0, hasHit: true });
    say(`${(from / 1000).toFixed(1)} s: ${injected.length} of ${rounds}: ${name} is killed, and listens again after ${to - from} ms`);
  }

  async function killer(victim: RaidOptions['instances'][number], index: number): Promise<void> {
    const random = createRandom(seed + 2000 + index);
    while (begun < rounds && mishap === undefined) {
      await pause(random.between(0, 1500));
      const hasMercy = !random.chance(merciless);
      while (hasMercy && returning.size > 0) {
        await Promise.race(returning);
        await pause(random.between(0, 700));
      }
      if (begun >= rounds || mishap !== undefined) return;
      begun += 1;
      const round = killOnce(victim).catch((error: unknown) => {
        mishap = { kind, error };
      });
      returning.add(round);
      await round;
      returning.delete(round);
    }
  }

  await Promise.all(instances.map(killer));
  const end = history.now();
  let recoveredAfterMs = pulse.recoveredAfter(end);
  while (recoveredAfterMs === undefined && history.now() - end < givenUpAfterMs) {
    await pause(50);
    recoveredAfterMs = pulse.recoveredAfter(end);
  }
  const last = injected.pop();
  if (last !== undefined) injected.push({ ...last, wholeAt: end, recoveredAfterMs });
  return { injected, ...(mishap !== undefined && { mishap }) };
}
