import type { Lifetime } from '../../support/lifetime.ts';
import type { History } from './history.ts';
import { exchange } from './wire.ts';

/** Tells when the service answered within two seconds and when not, by two requests that are made at a steady rate, whatever came of those before. */
export interface Pulse {
  /** From the first to the last failure since a time, in milliseconds; 0 when there was none. */
  unavailableSince(from: number): number;
  /** How long after a time it failed for the last time, once it has been answering for a while; undefined before. */
  recoveredAfter(whole: number): number | undefined;
}

interface Beat {
  readonly start: number;
  /** When it succeeded; infinity when it failed, undefined before. */
  end: number | undefined;
}

const everyMs = 200;
const patienceMs = 3000;
/** What takes longer is as bad as a failure. */
const slowMs = 2000;
/** Without a failure for so long, it is well again. */
const steadyMs = 2000;

interface PulseOptions {
  readonly base: string;
  /** Enough of them that no two log in to one account at the same time. */
  readonly people: readonly { readonly email: string; readonly password: string }[];
  readonly history: Pick<History, 'now'>;
}

/** One writes, by logging in; the other reads, by asking who that is. The people are registered. */
export function startPulse(run: Lifetime, { base, people, history }: PulseOptions): Pulse {
  let beats: Beat[] = [];
  let accessToken: string | undefined;
  let turn = 0;
  const { now } = history;

  async function beat(work: () => Promise<boolean>): Promise<void> {
    const one: Beat = { start: now(), end: undefined };
    beats.push(one);
    one.end = (await work()) ? now() : Number.POSITIVE_INFINITY;
  }

  async function write(): Promise<boolean> {
    turn += 1;
    const person = people[turn % people.length];
    const { status, body } = await exchange(base, { method: 'POST', path: '/auth/login', body: { ...person } }, patienceMs);
    accessToken = body.accessToken ?? accessToken;
    return status === 200;
  }

  async function read(): Promise<boolean> {
    const { status } = await exchange(base, { method: 'GET', path: '/auth/me', ...(accessToken && { accessToken }) }, patienceMs);
    return status === 200;
  }

  const isBad = ({ start, end = now() }: Beat) => end - start > slowMs;
  const failures = (from: number) => beats.filter((each) => each.start >= from && isBad(each)).map(({ start }) => start);

  const timer = setInterval(() => {
    void beat(write);
    if (accessToken !== undefined) void beat(read);
    // Older ones are no longer asked for.
    if (beats.length > 10_000) beats = beats.slice(-5000);
  }, everyMs);
  run.teardown(() => clearInterval(timer));

  return {
    unavailableSince(from) {
      const starts = failures(from);
      return starts.length === 0 ? 0 : (starts.at(-1) as number) - (starts[0] as number) + everyMs;
    },
    recoveredAfter(whole) {
      const last = failures(whole).at(-1);
      const wellSince = last === undefined ? whole : last + everyMs;
      const answered = beats.some(({ start, end }) => start >= wellSince && end !== undefined);
      const isWaiting = beats.some(({ start, end }) => start >= whole && end === undefined && now() - start > 2 * everyMs);
      return now() - wellSince < steadyMs || isWaiting || !answered ? undefined : wellSince - whole;
    },
  };
}
