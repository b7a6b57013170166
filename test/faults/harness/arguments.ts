import { randomInt } from 'node:crypto';
import { parseArgs } from 'node:util';
import { type FaultKind, faultKinds } from './faults.ts';

/** What a run is told. */
export interface RunArguments {
  readonly seed: number;
  /** How long faults go on, at least; each kind comes once in any case. */
  readonly lastsMs: number;
  readonly only: FaultKind | undefined;
  /** Nothing but so many ends of instances, under a steady load; undefined for faults of every kind. */
  readonly kills: number | undefined;
  /** How many registrations and confirmations begin each second meanwhile. */
  readonly perSecond: number;
  /** The command that makes the same choices. */
  readonly replay: string;
}

const minuteMs = 60_000;
/** When nothing is said: with what comes before and afterwards, the whole run takes five minutes. */
const shortMs = 4 * minuteMs;

const usualPerSecond = 200;

/** @throws Error when it is told what it does not understand */
export function readArguments(args: readonly string[]): RunArguments {
  const { values } = parseArgs({
    args: [...args],
    options: {
      ...{ seed: { type: 'string' }, minutes: { type: 'string' }, hours: { type: 'string' }, only: { type: 'string' } },
      ...{ kills: { type: 'string' }, 'per-second': { type: 'string' } },
    },
  });
  const seed = numberOf('seed', values.seed) ?? randomInt(2 ** 31);
  if (!Number.isInteger(seed) || seed >= 2 ** 32) throw new Error('--seed takes a whole number below 4294967296');
  const raid = readRaid(values);
  const isShort = values.minutes === undefined && values.hours === undefined && values.only === undefined;
  const lastsMs = isShort
    ? shortMs
    : (numberOf('minutes', values.minutes) ?? 0) * minuteMs + (numberOf('hours', values.hours) ?? 0) * 60 * minuteMs;
  const only = faultKinds.find((kind) => kind === values.only);
  if (values.only !== undefined && only === undefined) throw new Error(`--only takes one of these: ${faultKinds.join('; ')}`);
  const rest = Object.entries({ ...values, seed }).map(([name, value]) => `--${name} ${/ /.test(String(value)) ? `'${value}'` : value}`);
  return { seed, lastsMs, only, ...raid, replay: `npm run test:faults -- ${rest.join(' ')}` };
}

function readRaid(values: Readonly<Record<string, string | undefined>>): Pick<RunArguments, 'kills' | 'perSecond'> {
  const [kills, perSecond = usualPerSecond] = ['kills', 'per-second'].map((name) => numberOf(name, values[name]));
  if (kills === undefined && values['per-second'] !== undefined) throw new Error('--per-second goes with --kills');
  if (kills === undefined) return { kills, perSecond };
  if (!Number.isInteger(kills) || kills === 0 || perSecond === 0) throw new Error('--kills takes a whole number, and no number may be 0');
  const others = Object.keys(values).filter((name) => !['seed', 'kills', 'per-second'].includes(name));
  if (others.length > 0) throw new Error(`--kills does not go with --${others[0]}`);
  return { kills, perSecond };
}

function numberOf(name: string, text: string | undefined): number | undefined {
  if (text === undefined) return undefined;
  if (!/^\d+(?:\.\d+)?$/.test(text)) throw new Error(`--${name} takes a number`);
  return Number(text);
}
