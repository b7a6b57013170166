import { setTimeout as pause } from 'node:timers/promises';
import { type Arena, type FaultKind, faultKinds, faults, whyNot } from './faults.ts';
import type { History } from './history.ts';
import type { Pulse } from './pulse.ts';

/** A fault that has been, in milliseconds since the run began. */
export interface Injected {
  readonly kind: FaultKind;
  readonly from: number;
  /** When what was broken was whole again. */
  readonly to: number;
  /** From the first to the last request that failed. */
  readonly unavailableMs: number;
  /** How long after it was whole the last request failed; undefined when the service did not recover in time. */
  readonly recoveredAfterMs: number | undefined;
  /** Whether what was to be broken was: a point may not have been reached. */
  readonly hasHit: boolean;
}

/** Something could not be broken, or not be made whole again: the run cannot go on. */
export interface Mishap {
  readonly kind: FaultKind;
  readonly error: unknown;
}

interface NemesisOptions {
  readonly arena: Arena;
  readonly history: Pick<History, 'now'>;
  readonly pulse: Pulse;
  /** The only kind, when there is to be only one. */
  readonly only: FaultKind | undefined;
  /** Until when there are more faults, after each kind has been once. */
  readonly until: number;
  readonly say: (line: string) => void;
}

/** What a service that does not recover is given up after. */
const givenUpAfterMs = 30_000;

/**
 * Breaks one thing after the other, waiting each time until the service has recovered: every kind once, in an order that
 * the seed decides, and again until the time is over, or something goes wrong with that itself.
 */
export async function rage(options: NemesisOptions): Promise<{ injected: Injected[]; mishap?: Mishap }> {
  const { arena, history, pulse, only, until, say } = options;
  const { random } = arena;
  const injected: Injected[] = [];
  const isPossible = (kind: FaultKind) => (only === undefined || kind === only) && whyNot(kind, arena) === undefined;
  const kinds = faultKinds.filter(isPossible);

  async function inject(kind: FaultKind): Promise<Injected> {
    await pause(random.between(200, 1500));
    const from = history.now();
    const hasHit = (await faults[kind].inject(arena)) !== false;
    const to = history.now();
    let recoveredAfterMs = pulse.recoveredAfter(to);
    while (recoveredAfterMs === undefined && history.now() - to < givenUpAfterMs) {
      await pause(50);
      recoveredAfterMs = pulse.recoveredAfter(to);
    }
    return { kind, from, to, unavailableMs: pulse.unavailableSince(from), recoveredAfterMs, hasHit };
  }

  do {
    // Also what cannot be had here takes its turn, so that the order is the same elsewhere.
    for (const kind of random.shuffled(faultKinds).filter(isPossible)) {
      if (injected.length >= kinds.length && history.now() > until) break;
      const one = await inject(kind).catch((error: unknown): Mishap => ({ kind, error }));
      if ('error' in one) return { injected, mishap: one };
      injected.push(one);
      const recovery = one.recoveredAfterMs === undefined ? 'not recovered' : `recovered after ${one.recoveredAfterMs} ms`;
      say(`${(one.from / 1000).toFixed(1)} s: ${kind}, for ${one.to - one.from} ms: unavailable for ${one.unavailableMs} ms, ${recovery}`);
    }
  } while (kinds.length > 0 && history.now() < until);
  return { injected };
}
