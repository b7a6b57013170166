import { execFile } from 'node:child_process';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { dealt, type Load, type Measurement, measure, type Phase, type Sent } from './load.ts';
import { onCore } from './machine.ts';
import type { Measured } from './servers.ts';

/** One thing that is measured, again in each round. */
export interface Row {
  readonly what: string;
  /** What it is compared with: the name of another row. */
  readonly yardstick?: string;
  /** The least ratio to the yardstick that is aimed at. */
  readonly target?: number;
  measure(): Promise<Measurement>;
}

interface Timing {
  readonly warmUp: number;
  readonly measured: number;
}

export const cores = { server: 0, load: 1 };
/** In seconds: long enough to begin with for each of ten thousand tokens to have been seen. */
const brisk: Timing = { warmUp: 6, measured: 4 };
/** Of what there are but some dozens a second. */
export const patient: Timing = { warmUp: 2, measured: 8 };

/** The same requests again and again, over some connections. */
export async function repeated(server: Measured, requests: readonly Sent[], connections: number, { warmUp, measured } = brisk) {
  const lanes = dealt(requests, connections);
  return send(server, { warmUp: { lanes, seconds: warmUp }, measured: { lanes, seconds: measured } });
}

export const patiently = (server: Measured, requests: readonly Sent[], connections: number) =>
  repeated(server, requests, connections, patient);

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
  return send(server, { warmUp: phase(warmUp, timing?.warmUp), measured: phase(measured, timing?.measured) });
}

function send(server: Measured, phases: Pick<Load, 'warmUp' | 'measured'>): Promise<Measurement> {
  return measure({ pid: server.pid, core: cores.load }, { url: server.url, ...phases });
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
