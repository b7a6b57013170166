import { check, type Invariant, invariants } from './checker.ts';
import type { Evidence } from './evidence.ts';
import { type FaultKind, faultKinds, leavesReads } from './faults.ts';
import { groupBy } from './group.ts';
import { type Entry, type Operation, operations } from './history.ts';
import type { Injected, Mishap } from './nemesis.ts';

/** One thing that must be so, and why it is not. */
export interface Assertion {
  readonly what: string;
  readonly complaints: readonly string[];
}

export interface Observed {
  readonly evidence: Evidence;
  readonly injected: readonly Injected[];
  /** Why the faults ended before their time. */
  readonly mishap: Mishap | undefined;
  /** Which kinds were to happen. */
  readonly kinds: readonly FaultKind[];
  /** Mails, and requests for mails, that were left over when there was no more time. */
  readonly leftOver: number;
  readonly unexpectedEnds: readonly string[];
}

/** From when what was broken is whole again: after a restart of PostgreSQL (Z10), and after everything else (Z29). */
const recoversWithinMs = (kind: FaultKind) => (/restart|postmaster/.test(kind) ? 5000 : 10_000);
/** Of two faults at the same time, the slower one counts. */
const recoveryOf = ({ kind, beside = kind }: Pick<Injected, 'kind' | 'beside'>) =>
  Math.max(recoversWithinMs(kind), recoversWithinMs(beside));

/** What clients must have succeeded in, and how often a minute at least. */
const mustSucceed: Partial<Record<Operation, number>> = {
  ...{ register: 20, 'log in': 20, confirm: 10, read: 20, refresh: 5, 'log out': 5, 'ask for a reset': 1, reset: 1 },
};

/** All that a run must show. */
export function judge(observed: Observed): Assertion[] {
  const { evidence, injected, mishap, kinds, leftOver, unexpectedEnds } = observed;
  const { history } = evidence;
  const violations = groupBy(check(evidence), ({ invariant }) => invariant);
  return [
    ...(Object.keys(invariants) as Invariant[]).map((invariant) => ({
      what: `${invariant}: ${invariants[invariant]}`,
      complaints: violations.get(invariant)?.map(({ what }) => what) ?? [],
    })),
    ...faultKinds.filter((kind) => kinds.includes(kind)).flatMap((kind) => judgeKind(kind, observed)),
    { what: 'faults could be injected', complaints: mishap ? [`${mishap.kind}: ${mishap.error}`] : kinds.length === 0 ? ['none'] : [] },
    // A run of one kind of fault alone may be too short for that.
    ...(kinds.length > 1 ? judgeVariety(history) : []),
    { what: 'clients got on', complaints: tooFew(history) },
    {
      what: 'every request had its answer but where something was broken that it needs',
      complaints: withoutAnswer(history, injected).map(({ operation, start, status }) => `${operation}, ${status}, at ${start}`),
    },
    {
      what: 'every 503 said when to try again',
      complaints: history.filter(saysNotWhen).map(({ operation, start }) => `${operation}, at ${start}`),
    },
    { what: 'the outbox was empty within a minute', complaints: leftOver === 0 ? [] : [`${leftOver} were left over`] },
    { what: 'no instance ended by itself', complaints: unexpectedEnds },
    {
      what: 'no answer was 500',
      complaints: history.filter(({ status }) => status === 500).map(({ operation, start }) => `${operation}, at ${start}`),
    },
  ];
}

/** What is to be seen of one kind of fault. */
function judgeKind(kind: FaultKind, { evidence, injected }: Observed): Assertion[] {
  const times = injected.filter((fault) => fault.kind === kind);
  const slow = times.filter(({ recoveredAfterMs = Number.POSITIVE_INFINITY, ...fault }) => recoveredAfterMs > recoveryOf(fault));
  const reads = { what: `${kind}: those who only read noticed nothing`, complaints: disturbedReads(evidence.history, times) };
  return [
    { what: `${kind}: happened`, complaints: times.some(({ hasHit }) => hasHit) ? [] : ['it did not'] },
    {
      what: `${kind}: recovered from within ${recoversWithinMs(kind)} ms`,
      complaints: slow.map(
        ({ from, recoveredAfterMs, beside }) => `at ${from}${beside ? `, beside ${beside}` : ''}: after ${recoveredAfterMs} ms`,
      ),
    },
    ...(leavesReads(kind) ? [reads] : []),
  ];
}

function judgeVariety(history: readonly Entry[]): Assertion[] {
  const tried = new Set(history.map(({ operation }) => operation));
  return [
    { what: 'every operation was tried', complaints: operations.filter((operation) => !tried.has(operation)) },
    { what: 'two wanted one user name', complaints: hadRivals(history) ? [] : ['nobody did'] },
  ];
}

function tooFew(history: readonly Entry[]): string[] {
  const minutes = (history.at(-1)?.end ?? 0) / 60_000;
  const done = groupBy(
    history.filter(({ outcome }) => outcome === 'ok'),
    ({ operation }) => operation,
  );
  return Object.entries(mustSucceed).flatMap(([operation, perMinute]) => {
    const count = done.get(operation)?.length ?? 0;
    // The first of what is done often need some time.
    const fewest = Math.max(perMinute < 10 ? 0 : 1, Math.floor((minutes - 0.5) * perMinute));
    return count < fewest ? [`${operation} succeeded ${count} times in ${minutes.toFixed(1)} minutes`] : [];
  });
}

/** A little before and after a fault, what was under way may have met it. No request waits for the mail server. */
const marginMs = 2000;

function withoutAnswer(history: readonly Entry[], injected: readonly Injected[]): Entry[] {
  const broken = injected
    .filter(({ kind }) => !kind.startsWith('smtp: '))
    .map(({ from, wholeAt, recoveredAfterMs = Number.POSITIVE_INFINITY }) => ({
      from: from - marginMs,
      to: wholeAt + recoveredAfterMs + marginMs,
    }));
  return history.filter(({ outcome, start, end }) => outcome === 'unknown' && !broken.some(({ from, to }) => start <= to && end >= from));
}

/** Reads, with access tokens that live, that were not answered while nothing but such a fault was there; or that there was none that was. */
function disturbedReads(history: readonly Entry[], times: readonly Injected[]): string[] {
  const alone = times.filter(({ beside = 'smtp: ' }) => !beside.startsWith('instance: '));
  if (alone.length === 0) return ['it was never there without a fault of the instances'];
  return alone.flatMap(({ from, to }) => {
    const reads = history.filter(({ operation, start, end }) => operation === 'read' && start >= from && end <= to);
    const unanswered = reads.filter(({ outcome }) => outcome === 'unknown');
    if (reads.length === unanswered.length) return [`none was answered from ${from} to ${to}`];
    return unanswered.map(({ person, status = 'nothing', start }) => `${person} was answered ${status}, at ${start}`);
  });
}

function saysNotWhen({ status, retryAfter = '' }: Entry): boolean {
  return status === 503 && !/^[1-9]\d*$/.test(retryAfter);
}

function hadRivals(history: readonly Entry[]): boolean {
  const wanted = groupBy(
    history.filter(({ username }) => username !== undefined),
    ({ username = '' }) => username,
  );
  return [...wanted.values()].some((tries) => new Set(tries.map(({ person }) => person)).size > 1);
}
