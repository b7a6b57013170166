import { findDuplicates } from './duplicates.ts';
import type { Evidence } from './evidence.ts';
import { groupBy } from './group.ts';
import { type Entry, operations } from './history.ts';
import type { Injected } from './nemesis.ts';

type Row = readonly (string | number)[];

/** What happened in a run, in tables for people. */
export function describeRun(evidence: Evidence, injected: readonly Injected[], losses: number): string[] {
  const duplicates = findDuplicates(evidence);
  const because = (reason: string | undefined) => duplicates.filter(({ excuse }) => excuse === reason).length;
  const { median, worst } = spread(mailDelays(evidence));
  return [
    ...table([['operation', 'times', 'ok', 'fail', 'unknown'], ...operationRows(evidence.history)]),
    '',
    ...table([['fault', 'times', 'unavailable, median', 'worst, ms', 'recovered after, median', 'worst, ms'], ...faultRows(injected)]),
    '',
    `losses: ${losses}`,
    `mails: ${evidence.copies.length}, of which ${duplicates.length} were copies: ${because('crash')} after a crash, ${because('unanswered')} of which the first was not answered, ${because(undefined)} for no reason`,
    `from a registration to its mail: ${median} ms, worst ${worst} ms`,
    `statuses that are no success: ${statuses(evidence.history)}`,
  ];
}

function operationRows(history: readonly Entry[]): Row[] {
  const entries = groupBy(history, ({ operation }) => operation);
  return operations.map((operation) => {
    const all = entries.get(operation) ?? [];
    const count = (outcome: Entry['outcome']) => all.filter((entry) => entry.outcome === outcome).length;
    return [operation, all.length, count('ok'), count('fail'), count('unknown')];
  });
}

function faultRows(injected: readonly Injected[]): Row[] {
  // What was there at the same time as something else says nothing of either; two that were are two lines, one below each.
  const name = ({ kind, beside }: Injected) => (beside === undefined ? kind : `${kind}, and ${beside}`);
  return [...groupBy(injected, name)]
    .sort(([a], [b]) => (a < b ? -1 : 1))
    .map(([kind, times]) => {
      const gaps = spread(times.map(({ unavailableMs }) => unavailableMs));
      const recoveries = spread(times.map(({ recoveredAfterMs = Number.POSITIVE_INFINITY }) => recoveredAfterMs));
      return [kind, times.length, gaps.median, gaps.worst, recoveries.median, recoveries.worst];
    });
}

function spread(values: readonly number[]): { median: number; worst: number } {
  const sorted = [...values].sort((a, b) => a - b);
  return { median: sorted[Math.floor(sorted.length / 2)] ?? 0, worst: sorted.at(-1) ?? 0 };
}

/** Between each acknowledged registration and the first mail for it. */
function mailDelays({ copies, history }: Evidence): number[] {
  const mails = groupBy(copies, ({ recipient }) => recipient);
  return history
    .filter(({ operation, outcome }) => operation === 'register' && outcome === 'ok')
    .flatMap(
      ({ person, end }) =>
        mails
          .get(person)
          ?.slice(0, 1)
          .map(({ at }) => Math.max(0, at - end)) ?? [],
    );
}

function statuses(history: readonly Entry[]): string {
  const refusals = history.filter(({ outcome }) => outcome !== 'ok');
  const named = groupBy(refusals, ({ status, code }) => (status === undefined ? 'no answer' : `${status} ${code ?? ''}`.trim()));
  return [...named].map(([name, same]) => `${same.length} × ${name}`).join(', ');
}

function table(rows: readonly Row[]): string[] {
  const widths = (rows[0] ?? []).map((_, column) => Math.max(...rows.map((row) => String(row[column]).length)));
  return rows.map((row) =>
    row
      .map((cell, column) => (column === 0 ? String(cell).padEnd(widths[column] ?? 0) : String(cell).padStart(widths[column] ?? 0)))
      .join('  '),
  );
}
