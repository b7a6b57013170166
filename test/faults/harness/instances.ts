import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { openSync } from 'node:fs';
import { mkdir } from 'node:fs/promises';
import { connect } from 'node:net';
import { join } from 'node:path';
import { setTimeout as pause } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';
import type { Failpoint } from '../../../src/failpoints.ts';
import { makeBundle } from '../../support/bundle.ts';
import { eventually } from '../../support/eventually.ts';
import type { Lifetime } from '../../support/lifetime.ts';
import { freePort } from '../../support/process.ts';
import { startProxy, type TcpProxy } from '../../support/tcp-proxy.ts';
import type { Random } from './seed.ts';

/** A process that runs the service, and is started again when it has ended. */
export interface Instance {
  readonly name: string;
  readonly port: number;
  /** Between it and PostgreSQL, and between it and the mail server. */
  readonly links: { readonly postgres: TcpProxy; readonly smtp: TcpProxy };
  /** Kills it, and waits until it listens again, by a clock that is off by so much. */
  kill(clockOffsetMs?: number): Promise<void>;
  /**
   * Has it die when it reaches a point, and waits until it listens again; kills it when it does not reach it in time.
   *
   * @returns whether it did
   */
  crashAfter(point: Failpoint): Promise<boolean>;
  freeze(): void;
  thaw(): void;
}

export interface InstanceOptions {
  readonly directory: string;
  /** See {@link buildInstance}. */
  readonly program: string;
  readonly env: Readonly<Record<string, string>>;
  readonly postgresPort: number;
  readonly smtpPort: number;
  /** Whether nothing is in between, since nothing is to be broken there: that takes a third of what the harness does. */
  readonly isDirect?: boolean;
  readonly random: Random;
  /** Told whenever one has ended. */
  readonly onEnd: () => void;
  /** Told when one ends by itself that had been listening. */
  readonly onUnexpectedEnd: (what: string) => void;
}

const source = fileURLToPath(new URL('instance.ts', import.meta.url));
const listensWithinMs = 30_000;
/** How long an instance may take to come to the point after which it is to die. */
const reachesWithinMs = 4000;

/** Builds what instances run, as the service is built, so that they start as soon; answers the file. */
export async function buildInstance(directory: string): Promise<string> {
  await mkdir(directory);
  await makeBundle(directory, { 'harness/instance': source });
  return join(directory, 'dist/harness/instance.js');
}

export async function startInstance(run: Lifetime, name: string, options: InstanceOptions): Promise<Instance> {
  const { directory, program, env, postgresPort, smtpPort, isDirect = false, random, onEnd, onUnexpectedEnd } = options;
  const port = await freePort();
  const links = { postgres: await startProxy(run, postgresPort), smtp: await startProxy(run, smtpPort) };
  const reached = isDirect ? { postgres: postgresPort, smtp: smtpPort } : { postgres: links.postgres.port, smtp: links.smtp.port };
  const log = openSync(join(directory, `${name}.log`), 'a');
  let child: ChildProcess;
  let ended: Promise<unknown>;
  let clockOffsetMs = 0;
  let hasListened = false;
  let isToDie = false;
  let isOver = false;

  function start(): void {
    hasListened = false;
    isToDie = false;
    child = spawn(process.execPath, [program], {
      env: {
        PATH: process.env['PATH'],
        ...env,
        PORT: String(port),
        DATABASE_URL: `postgres://postgres@127.0.0.1:${reached.postgres}/postgres`,
        SMTP_URL: `smtp://127.0.0.1:${reached.smtp}`,
        CLOCK_OFFSET_MS: String(clockOffsetMs),
      },
      stdio: ['pipe', log, log],
    });
    child.stdin?.on('error', () => {});
    ended = once(child, 'exit');
    child.once('exit', onEnd);
    child.once('exit', (code, signal) => void startAgain(`${name} ended with ${signal ?? code}`));
  }

  /** As a supervisor does, whatever it ended of: the database may have been away when it started. */
  async function startAgain(end: string): Promise<void> {
    if (isOver) return;
    if (hasListened && !isToDie) onUnexpectedEnd(end);
    await pause(random.between(100, 1000));
    if (isOver) return;
    start();
    // Or it ends before, and this begins anew.
    await untilListening().catch(() => {});
  }

  async function untilListening(): Promise<void> {
    await eventually(`${name} listens`, () => accepts(port), listensWithinMs);
    hasListened = true;
  }

  async function kill(nextOffsetMs = 0): Promise<void> {
    clockOffsetMs = nextOffsetMs;
    isToDie = true;
    child.kill('SIGKILL');
    await ended;
    await untilListening();
  }

  start();
  run.teardown(async () => {
    isOver = true;
    child.kill('SIGKILL');
    await ended;
  });
  await untilListening();

  return {
    name,
    port,
    links,
    kill,
    async crashAfter(point) {
      isToDie = true;
      const end = ended.then(() => true);
      child.stdin?.write(`${point}\n`);
      const isReached = await Promise.race([end, pause(reachesWithinMs, false)]);
      child.kill('SIGKILL');
      await end;
      await untilListening();
      return isReached;
    },
    freeze: () => void child.kill('SIGSTOP'),
    thaw: () => void child.kill('SIGCONT'),
  };
}

/** Whether somebody listens on a port of loopback. */
async function accepts(port: number): Promise<boolean> {
  const socket = connect(port, '127.0.0.1');
  const answers = await Promise.race([once(socket, 'connect').then(() => true), once(socket, 'error').then(() => false)]).catch(
    () => false,
  );
  socket.destroy();
  return answers;
}
