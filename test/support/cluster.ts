import { spawnSync } from 'node:child_process';
import { existsSync, readdirSync } from 'node:fs';
import { appendFile } from 'node:fs/promises';
import { join } from 'node:path';
import type { Test } from 'tap';
import { freePort } from './process.ts';

const installations = '/usr/lib/postgresql';
const newest = existsSync(installations)
  ? readdirSync(installations)
      .sort((a, b) => Number(a) - Number(b))
      .at(-1)
  : undefined;

/** Why a test that needs a PostgreSQL of its own is left out; false when it is not. In CI there always is one. */
export const noPostgres = newest !== undefined || process.env['CI'] !== undefined ? false : `there is no PostgreSQL in ${installations}`;

/** A PostgreSQL server of a test's own, to be stopped, broken and put away. */
export interface Cluster {
  readonly url: string;
  readonly port: number;
  /** Where its files are; they belong to whoever may run a server. */
  readonly directory: string;
  /** Adds lines to its configuration; they count from the next start, or reload. */
  configure(lines: string): Promise<void>;
  start(): void;
  stop(mode?: 'smart' | 'fast' | 'immediate'): void;
}

/** A command, run by somebody who may run a server: PostgreSQL refuses to run as root. */
export function postgresCommand(command: readonly [string, ...string[]]): readonly [string, ...string[]] {
  return process.getuid?.() === 0 ? ['runuser', '-u', 'postgres', '--', ...command] : command;
}

/** Runs it, and waits for its end. */
export function asPostgres(...command: readonly [string, ...string[]]): string {
  const [program, ...args] = postgresCommand(command);
  const { status, stdout, stderr } = spawnSync(program, args, { cwd: '/', encoding: 'utf8', timeout: 60_000 });
  if (status !== 0) throw new Error(`${command[0]} ended with ${status}: ${stdout}${stderr}`);
  return stdout;
}

/** One of PostgreSQL's own programs. */
export function postgresTool(name: string): string {
  return join(installations, newest ?? '', 'bin', name);
}

/** Makes and starts one on a free port of loopback, for as long as the test runs. */
export async function startCluster(t: Test, lines = ''): Promise<Cluster> {
  // Not in TMPDIR, where the user that PostgreSQL runs as may have no right to go.
  const directory = asPostgres('mktemp', '-d', '/tmp/latchkey-cluster.XXXXXX').trim();
  const data = join(directory, 'data');
  const port = await freePort();
  asPostgres(postgresTool('initdb'), '-D', data, '-U', 'postgres', '-A', 'trust', '-E', 'UTF8', '--locale=C.UTF-8', '--no-sync');
  const cluster: Cluster = {
    url: `postgres://postgres@127.0.0.1:${port}/postgres`,
    port,
    directory,
    configure: (more) => appendFile(join(data, 'postgresql.conf'), `${more}\n`),
    start: () => void asPostgres(postgresTool('pg_ctl'), 'start', '-w', '-D', data, '-l', join(directory, 'log'), '-s'),
    stop: (mode = 'fast') => void asPostgres(postgresTool('pg_ctl'), 'stop', '-w', '-D', data, '-m', mode, '-s'),
  };
  t.teardown(async () => {
    if (existsSync(join(data, 'postmaster.pid'))) cluster.stop('immediate');
    asPostgres('rm', '-rf', directory);
  });
  await cluster.configure(
    `port = ${port}\nlisten_addresses = '127.0.0.1'\nunix_socket_directories = '${directory}'\nfsync = off\n${lines}`,
  );
  cluster.start();
  return cluster;
}
