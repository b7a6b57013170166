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
  /** In milliseconds, after it has warmed up: for a server to finish what nobody waits for any longer. */
  readonly restMs: number;
}

/** A load that has warmed up, and waits. */
export interface ReadyLoad {
  /**
   * Puts the server under it.
   *
   * @throws Error when anything but a success was answered: refusals are quick, and would be taken for speed
   */
  measure(): Promise<Measurement>;
  end(): Promise<void>;
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
  /** From the first request to the last answer. */
  readonly seconds: number;
  readonly statuses: Readonly<Record<string, number>>;
  readonly errors: number;
}

/** Warms a server up, by a process on another core. */
export async function prepare({ pid, core }: { readonly pid: number; readonly core: number }, load: Load): Promise<ReadyLoad> {
  const directory = await mkdtemp(join(tmpdir(), 'latchkey-bench-'));
  const file = join(directory, 'load.json');
  await writeFile(file, JSON.stringify(load));
  const [program, ...args] = onCore(core, [process.execPath, join(import.meta.dirname, 'load.js'), file]);
  const child = spawn(program, args, { stdio: ['ignore', 'inherit', 'inherit', 'ipc'] });
  const exited = once(child, 'exit');
  const failed = exited.then(([code]) => {
    throw new Error(`the load ended with ${code}`);
  });
  failed.catch(() => {});
  await Promise.race([once(child, 'message'), failed]).finally(() => rm(directory, { recursive: true, force: true }));
  return {
    async measure() {
      const before = busySeconds(pid);
      child.send('measure');
      const [outcome] = (await Promise.race([once(child, 'message'), failed])) as [Outcome];
      const { perSecond, p50, p99, seconds, statuses, errors } = outcome;
      const busy = (busySeconds(pid) - before) / seconds;
      const others = Object.keys(statuses).filter((status) => !status.startsWith('2'));
      if (errors > 0 || others.length > 0) throw new Error(`${load.url} answered ${JSON.stringify(statuses)}, ${errors} errors`);
      return { perSecond, p50, p99, busy };
    },
    async end() {
      if (child.connected) child.disconnect();
      await exited;
    },
  };
}

/** Deals requests to connections like cards. */
export function dealt(requests: readonly Sent[], connections: number): Sent[][] {
  return Array.from({ length: connections }, (_, lane) => requests.filter((_request, index) => index % connections === lane));
}
