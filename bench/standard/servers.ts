import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { eventually } from '../../test/support/eventually.ts';
import type { Lifetime } from '../../test/support/lifetime.ts';
import { freePort, startProcess } from '../../test/support/process.ts';
import { onCore } from './machine.ts';

/** A server in a process of its own, on a core of its own. */
export interface Measured {
  readonly url: string;
  readonly pid: number;
  /** How long it took until it was ready, in milliseconds. */
  readonly startedMs: number;
}

/** Whatever it has to load, and to make in its database. */
const startsWithinMs = 60_000;

type Variables = Readonly<Record<string, string>>;

/** The service as it is shipped, by the command of `npm start`. */
export async function startService(run: Lifetime, core: number, env: Variables): Promise<Measured> {
  const port = await freePort();
  const { scripts } = JSON.parse(await readFile('package.json', 'utf8'));
  const args = scripts.start.replace('exec node ', '').split(' ');
  return start(run, { core, env: { ...env, PORT: String(port) }, args, port, path: '/health/ready' });
}

/** One that it is compared with: a file of peers/, which says on which port it listens. */
export async function startPeer(run: Lifetime, core: number, name: string, env: Variables): Promise<Measured> {
  const port = await freePort();
  const args = [join('bench', 'peers', `${name}.js`)];
  return start(run, { core, env: { ...env, PORT: String(port), NODE_ENV: 'production' }, args, port, path: '/' });
}

interface StartOptions {
  readonly core: number;
  readonly env: Variables;
  /** Of Node.js: its options, and the file. */
  readonly args: readonly string[];
  readonly port: number;
  /** Answered as soon as it is ready. */
  readonly path: string;
}

async function start(run: Lifetime, { core, env, args, port, path }: StartOptions): Promise<Measured> {
  const from = performance.now();
  const { child, output } = startProcess(run, { command: onCore(core, [process.execPath, ...args]) }, env);
  const url = `http://127.0.0.1:${port}`;
  const isReady = async () => {
    if (child.exitCode !== null) throw new Error(`${args.at(-1)} ended with ${child.exitCode}: ${output.stderr}`);
    const answer = await fetch(`${url}${path}`, { signal: AbortSignal.timeout(1000) }).catch(() => undefined);
    return answer !== undefined && answer.status !== 503;
  };
  await eventually(`${args.at(-1)} is ready`, isReady, startsWithinMs);
  const startedMs = performance.now() - from;
  return { url, pid: child.pid ?? 0, startedMs };
}
