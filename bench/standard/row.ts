import { execFile } from 'node:child_process';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { dealt, type Load, type Measurement, type Phase, prepare, type ReadyLoad, type Sent } from './load.ts';
import { onCore } from './machine.ts';
import type { Measured } from './servers.ts';
import { spread } from './spread.ts';

/** One thing that is measured, again in each round. */
export interface Row {
  readonly what: string;
  /** What it is compared with: the name of another row. */
  readonly yardstick?: string;
  /** The least ratio to the yardstick that is aimed at. */
  readonly target?: number;
  measure(): Promise<Measurement | Compared>;
}

interface Timing {
  readonly warmUp: number;
  readonly measured: number;
  readonly restMs: number;
}

export const cores = { server: 0, load: 1 };
/** In seconds: long enough to begin with for each of ten thousand tokens to have been seen. */
const brisk: Timing = { warmUp: 6, measured: 4, restMs: 500 };
/** By turns with something else. */
const inTurns: Timing = { ...brisk, measured: 1 };
const turns = 5;
/** Of what there are but some dozens a second. */
export const patient: Timing = { warmUp: 2, measured: 8, restMs: 3000 };

/** What was measured by turns with its yardstick. */
export interface Compared extends Measurement {
  /** To what was measured of the yardstick in between. */
  readonly ratio: number;
}

/** The same requests again and again, over some connections. */
export async function repeated(server: Measured, requests: readonly Sent[], connections: number, timing = brisk): Promise<Measurement> {
  return measuredOnce(await ready(server, requests, connections, timing));
}

export const patiently = (server: Measured, requests: readonly Sent[], connections: number) =>
  repeated(server, requests, connections, patient);

/** Such requests, to be compared with others. */
export const steady = (server: Measured, requests: readonly Sent[], connections: number) => ready(server, requests, connections, inTurns);

/**
 * Measures a load and another one by turns of a second: the speed of a machine that others share changes by as much as half
 * from one minute to the next, and then does so for both.
 */
export async function compared(prepareOwn: () => Promise<ReadyLoad>, prepareYardstick: () => Promise<ReadyLoad>): Promise<Compared> {
  const yardstick = await prepareYardstick();
  try {
    const own = await prepareOwn();
    try {
      const pairs: [Measurement, Measurement][] = [];
      for (let turn = 0; turn < turns; turn += 1) pairs.push([await yardstick.measure(), await own.measure()]);
      const ratio = total(pairs.map(([, { perSecond }]) => perSecond)) / total(pairs.map(([{ perSecond }]) => perSecond));
      return { ...summary(pairs.map(([, measurement]) => measurement)), ratio };
    } finally {
      await own.end();
    }
  } finally {
    await yardstick.end();
  }
}

function summary(measurements: readonly Measurement[]): Measurement {
  const all = (of: keyof Measurement) => measurements.map((measurement) => measurement[of]);
  const mean = (of: keyof Measurement) => total(all(of)) / measurements.length;
  return { perSecond: mean('perSecond'), p50: spread(all('p50')).median, p99: spread(all('p99')).median, busy: mean('busy') };
}

function total(values: readonly number[]): number {
  return values.reduce((sum, value) => sum + value, 0);
}

function ready(server: Measured, requests: readonly Sent[], connections: number, { warmUp, measured, restMs }: Timing) {
  const lanes = dealt(requests, connections);
  return prepareFor(server, { warmUp: { lanes, seconds: warmUp }, measured: { lanes, seconds: measured }, restMs });
}

/** Requests that can be sent once only: all of them, or as many as there is time for. */
export async function once(
  server: Measured,
  { warmUp, measured }: { warmUp: readonly Sent[]; measured: readonly Sent[] },
  connections: number,
  timing?: Timing,
) {
  const phase = (requests: readonly Sent[], seconds: number | undefined): Phase => ({
    lanes: dealt(requests, connections),
    ...(seconds !== undefined && { seconds }),
  });
  const phases = { warmUp: phase(warmUp, timing?.warmUp), measured: phase(measured, timing?.measured) };
  return measuredOnce(await prepareFor(server, { ...phases, restMs: patient.restMs }));
}

function prepareFor(server: Measured, load: Omit<Load, 'url'>): Promise<ReadyLoad> {
  return prepare({ pid: server.pid, core: cores.load }, { url: server.url, ...load });
}

async function measuredOnce(load: ReadyLoad): Promise<Measurement> {
  try {
    return await load.measure();
  } finally {
    await load.end();
  }
}

/** A program of peers/ that measures itself, on the core of the server. */
export async function measureItself(
  name: string,
  args: readonly string[],
  env: Readonly<Record<string, string>> = {},
): Promise<Measurement> {
  const file = join('bench', 'peers', `${name}.js`);
  const [program, ...rest] = onCore(cores.server, [process.execPath, file, ...args]);
  const { stdout } = await promisify(execFile)(program, rest, { env: { PATH: process.env['PATH'], ...env } });
  return { ...JSON.parse(stdout), p50: Number.NaN, p99: Number.NaN, busy: Number.NaN };
}
