import { setTimeout as pause } from 'node:timers/promises';
import { type Arena, companionsOf, type FaultKind, faultKinds, faults, whyNot } from './faults.ts';
import type { History } from './history.ts';
import type { Pulse } from './pulse.ts';
import { createRandom, type Random } from './seed.ts';

/** A fault that has been, in milliseconds since the run began. */
export interface Injected {
  readonly kind: FaultKind;
  /** The other one, which was there at the same time. */
  readonly beside?: FaultKind;
  readonly from: number;
  /** When what it had broken was whole again. */
  readonly to: number;
  /** When everything was: later than that when another one was there at the same time. */
  readonly wholeAt: number;
  /** From the first to the last request that failed. */
  readonly unavailableMs: number;
  /** How long after everything was whole the last request failed; undefined when the service did not recover in time. */
  readonly recoveredAfterMs: number | undefined;
  /** Whether what was to be broken was: a point may not have been reached, a mail not been under way. */
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
/** How often another fault comes at the same time. */
const overlapChance = 0.3;
/** How often a fault is tried that hits nothing. */
const mostTries = 3;

/**
 * Breaks one thing after the other, and sometimes two at once, waiting each time until the service has recovered: every
 * kind once, in an order that the seed decides, and again until the time is over, or something goes wrong with that itself.
 */
export async function rage(options: NemesisOptions): Promise<{ injected: Injected[]; mishap?: Mishap }> {
  const { arena, history, only, until } = options;
  const { random } = arena;
  const injected: Injected[] = [];
  const isPossible = (kind: FaultKind) => (only === undefined || kind === only) && whyNot(kind, arena) === undefined;
  const missing = new Set(faultKinds.filter(isPossible));
  if (missing.size === 0) return { injected };

  do {
    // Also what cannot be had here takes its turn, so that the order is the same elsewhere.
    const turns = random.shuffled(faultKinds).map((kind) => decide(random, kind, isPossible));
    for (const turn of turns.filter(({ kind }) => isPossible(kind))) {
      if (missing.size === 0 && history.now() > until) break;
      const found = await takeTurn(options, turn);
      if ('error' in found) return { injected, mishap: found };
      injected.push(...found);
      missing.delete(turn.kind);
    }
  } while (history.now() < until);
  return { injected };
}

interface Turn {
  readonly kind: FaultKind;
  /** What comes at the same time. */
  readonly beside: FaultKind | undefined;
  /** Each turn has chance of its own, however much of it the one before has used up. */
  readonly random: Random;
}

function decide(random: Random, kind: FaultKind, isPossible: (kind: FaultKind) => boolean): Turn {
  const own = createRandom(random.between(0, 2 ** 31));
  const companion = own.pick(companionsOf(kind));
  return { kind, beside: own.chance(overlapChance) && isPossible(companion) ? companion : undefined, random: own };
}

/** Injects a fault, with what comes at the same time; by itself once more, and again, while it hits nothing. */
async function takeTurn(options: NemesisOptions, { kind, beside, random }: Turn): Promise<Injected[] | Mishap> {
  const injected: Injected[] = [];
  for (let tries = 1; tries <= mostTries; tries += 1) {
    const kinds = tries === 1 && beside !== undefined ? [kind, beside] : [kind];
    const found = await inject(options, random, kinds);
    if ('error' in found) return found;
    injected.push(...found);
    for (const one of found) options.say(describe(one));
    if (found[0]?.hasHit) break;
  }
  return injected;
}

/** Breaks some things at the same time, and waits until all of them are whole and the service has recovered. */
async function inject(
  { arena, history, pulse }: NemesisOptions,
  random: Random,
  kinds: readonly FaultKind[],
): Promise<Injected[] | Mishap> {
  await pause(random.between(200, 1500));
  const began = history.now();
  const broken = await Promise.all(
    kinds.map(async (kind) => {
      // What is there at the same time does not take chance from each other, in whichever order.
      const own = { ...arena, random: createRandom(random.between(0, 2 ** 31)) };
      const outcome = await faults[kind].inject(own).catch((error: unknown): Mishap => ({ kind, error }));
      return { kind, outcome, from: began, to: history.now() };
    }),
  );
  const mishap = broken.map(({ outcome }) => outcome).find(isMishap);
  if (mishap !== undefined) return mishap;
  const wholeAt = history.now();
  let recoveredAfterMs = pulse.recoveredAfter(wholeAt);
  while (recoveredAfterMs === undefined && history.now() - wholeAt < givenUpAfterMs) {
    await pause(50);
    recoveredAfterMs = pulse.recoveredAfter(wholeAt);
  }
  const unavailableMs = pulse.unavailableSince(began);
  return broken.map(({ kind, outcome, from, to }) => {
    const beside = kinds.find((other) => other !== kind);
    return { kind, ...(beside && { beside }), from, to, wholeAt, unavailableMs, recoveredAfterMs, hasHit: outcome !== false };
  });
}

function isMishap(outcome: unknown): outcome is Mishap {
  return typeof outcome === 'object' && outcome !== null && 'error' in outcome;
}

function describe({ kind, beside, from, to, unavailableMs, recoveredAfterMs, hasHit }: Injected): string {
  const recovery = recoveredAfterMs === undefined ? 'not recovered' : `recovered after ${recoveredAfterMs} ms`;
  const others = beside === undefined ? '' : `, beside ${beside}`;
  const outcome = hasHit ? '' : '; it has hit nothing';
  return `${(from / 1000).toFixed(1)} s: ${kind}${others}, for ${to - from} ms: unavailable for ${unavailableMs} ms, ${recovery}${outcome}`;
}
