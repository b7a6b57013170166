import { type ChildProcess, spawn } from 'node:child_process';
import { randomInt } from 'node:crypto';
import { once } from 'node:events';
import { createServer } from 'node:net';
import type { Lifetime } from './lifetime.ts';

/** A process, and what it has said so far. */
export interface RunningProcess {
  readonly child: ChildProcess;
  readonly output: { stdout: string; stderr: string };
  /** Waits until its standard output matches; rejects if it ends before. */
  says(pattern: RegExp): Promise<RegExpExecArray>;
  /** Waits for its end. */
  ended(): Promise<{ code: number | null; signal: NodeJS.Signals | null }>;
}

/** A TypeScript file, a script that is given as text, or any program with its arguments. */
type Startable = { readonly file: string } | { readonly script: string } | { readonly command: readonly [string, ...string[]] };

function commandOf(what: Startable): readonly [string, ...string[]] {
  if ('command' in what) return what.command;
  const code = 'file' in what ? [what.file] : ['--input-type=module', '--eval', what.script];
  return [process.execPath, '--import=./scripts/typescript.js', ...code];
}

/** Starts a process with nothing in its environment but what is named, for as long as the test, or the run, lasts. */
export function startProcess(t: Lifetime, what: Startable, env: Readonly<Record<string, string>>): RunningProcess {
  const [program, ...args] = commandOf(what);
  const child = spawn(program, args, {
    env: { PATH: process.env['PATH'], ...env },
    stdio: ['ignore', 'pipe', 'pipe'],
  });
  const closed = once(child, 'close') as Promise<[number | null, NodeJS.Signals | null]>;
  t.teardown(async () => {
    child.kill('SIGKILL');
    await closed;
  });
  const output = { stdout: '', stderr: '' };
  child.stdout.setEncoding('utf8').on('data', (text: string) => {
    output.stdout += text;
  });
  child.stderr.setEncoding('utf8').on('data', (text: string) => {
    output.stderr += text;
  });

  return {
    child,
    output,
    async says(pattern) {
      for (;;) {
        const found = pattern.exec(output.stdout);
        if (found) return found;
        const end = child.exitCode ?? child.signalCode;
        if (end !== null) throw new Error(`the process ended with ${end}: ${output.stderr}`);
        await Promise.race([once(child.stdout, 'data'), closed]);
      }
    },
    async ended() {
      const [code, signal] = await closed;
      return { code, signal };
    },
  };
}

/** Below those that the system gives to whoever asks for any (32768 to 60999 on Linux): nobody gets it in between. */
const perJob = 3000;
/** Others for each file that runs at the same time: who has been given one may need it for the first time in a while, or again. */
const ports = { from: 15_000 + (Number(process.env['TAP_JOB_ID'] ?? 0) % 5) * perJob, count: perJob };
const given = new Set<number>();

/** A port of loopback that was free a moment ago, and has been given to nobody else here. */
export async function freePort(): Promise<number> {
  const port = ports.from + randomInt(ports.count);
  if (given.has(port)) return freePort();
  const server = createServer();
  const isFree = await new Promise<boolean>((resolve) => {
    server.once('error', () => resolve(false)).listen(port, '127.0.0.1', () => resolve(true));
  });
  if (!isFree) return freePort();
  server.close();
  await once(server, 'close');
  given.add(port);
  return port;
}
