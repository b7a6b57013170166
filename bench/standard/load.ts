import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { busySeconds, onCore } from './machine.ts';

export interface Sent {
  readonly method: 'GET' | 'POST';
  readonly path: string;
  readonly headers?: Readonly<Record<string, string>>;
  readonly body?: string;
}

/** What each of some connections sends, one after the other. */
export interface Phase {
  readonly lanes: readonly (readonly Sent[])[];
  /** Again and again for as long; without it, once. */
  readonly seconds?: number;
}

export interface Load {
  readonly url: string;
  readonly warmUp: Phase;
  readonly measured: Phase;
}

export interface Measurement {
  readonly perSecond: number;
  /** Milliseconds. */
  readonly p50: number;
  readonly p99: number;
  /** How much of a core the server has used: where it is far from 1, something else was the limit. */
  readonly busy: number;
}

interface Outcome extends Omit<Measurement, 'busy'> {
  readonly statuses: Readonly<Record<string, number>>;
  readonly errors: number;
}

/**
 * Puts a server under load from a process on another core.
 *
 * @throws Error when anything but a success was answered: refusals are quick, and would be taken for speed
 */
export async function measure({ pid, core }: { readonly pid: number; readonly core: number }, load: Load): Promise<Measurement> {
  const directory = await mkdtemp(join(tmpdir(), 'latchkey-bench-'));
  const file = join(directory, 'load.json');
  await writeFile(file, JSON.stringify(load));
  const [program, ...args] = onCore(core, [process.execPath, join(import.meta.dirname, 'load.js'), file]);
  const child = spawn(program, args, { stdio: ['ignore', 'inherit', 'inherit', 'ipc'] });
  const ended = once(child, 'exit').then(([code]) => {
    throw new Error(`the load ended with ${code}`);
  });
  try {
    await Promise.race([once(child, 'message'), ended]);
    const before = { busy: busySeconds(pid), at: performance.now() };
    const [outcome] = (await Promise.race([once(child, 'message'), ended])) as [Outcome];
    const busy = ((busySeconds(pid) - before.busy) * 1000) / (performance.now() - before.at);
    const { perSecond, p50, p99, statuses, errors } = outcome;
    const others = Object.keys(statuses).filter((status) => !status.startsWith('2'));
    if (errors > 0 || others.length > 0) throw new Error(`${load.url} answered ${JSON.stringify(statuses)}, ${errors} errors`);
    return { perSecond, p50, p99, busy };
  } finally {
    ended.catch(() => {});
    await rm(directory, { recursive: true, force: true });
  }
}

/** Deals requests to connections like cards. */
export function dealt(requests: readonly Sent[], connections: number): Sent[][] {
  return Array.from({ length: connections }, (_, lane) => requests.filter((_request, index) => index % connections === lane));
}
