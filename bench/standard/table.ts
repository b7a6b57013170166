import type { Measurement } from './load.ts';
import type { Compared, Row } from './row.ts';
import { type Spread, spread } from './spread.ts';

/** What was measured of a row: medians over the rounds, with the least and the most. */
export interface Result {
  readonly what: string;
  readonly perSecond: Spread;
  /** Milliseconds. */
  readonly p50: number;
  readonly p99: number;
  /** How much of its core the server used, at the median. */
  readonly busy: number;
  readonly yardstick?: string;
  /** To the yardstick, measured by turns with it or in the same round: what else the machine does then, it does to both. */
  readonly ratio?: Spread;
  readonly target?: number;
}

/** @param measured of each row, in the order of the rounds */
export function resultsOf(rows: readonly Row[], measured: ReadonlyMap<string, readonly (Measurement | Compared)[]>): Result[] {
  return rows.map(({ what, yardstick, target }) => {
    const own = measured.get(what) ?? [];
    const others = measured.get(yardstick ?? '');
    const ratioOf = (one: Measurement | Compared, round: number) =>
      'ratio' in one ? one.ratio : one.perSecond / (others?.[round]?.perSecond ?? Number.NaN);
    const ratios = others && own.map(ratioOf);
    return {
      what,
      perSecond: spread(own.map(({ perSecond }) => perSecond)),
      p50: spread(own.map(({ p50 }) => p50)).median,
      p99: spread(own.map(({ p99 }) => p99)).median,
      busy: spread(own.map(({ busy }) => busy)).median,
      ...(yardstick !== undefined && { yardstick }),
      ...(ratios && { ratio: spread(ratios) }),
      ...(target !== undefined && { target }),
    };
  });
}

/** A Markdown table. */
export function tableOf(results: readonly Result[]): string {
  const head = ['what', 'a second', 'least–most', 'p50, ms', 'p99, ms', 'of a core', 'ratio', 'least–most', 'to', 'aim'];
  const lines = results.map(({ what, perSecond, p50, p99, busy, ratio, yardstick, target }) => [
    ...[what, count(perSecond.median), `${count(perSecond.least)}–${count(perSecond.most)}`],
    ...[decimals(p50, 1), decimals(p99, 1), decimals(busy, 2)],
    ...(ratio ? [decimals(ratio.median, 2), `${decimals(ratio.least, 2)}–${decimals(ratio.most, 2)}`] : ['', '']),
    ...[yardstick ?? '', target === undefined ? '' : `≥ ${decimals(target, 2)}`],
  ]);
  return [head, head.map(() => '---'), ...lines].map((cells) => `| ${cells.join(' | ')} |`).join('\n');
}

function count(value: number): string {
  return value >= 100 ? Math.round(value).toLocaleString('en') : decimals(value, 1);
}

function decimals(value: number, digits: number): string {
  return Number.isNaN(value) ? '' : value.toFixed(digits);
}
