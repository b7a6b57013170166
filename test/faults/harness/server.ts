import { appendFile, readFile } from 'node:fs/promises';
import { join } from 'node:path';
import pg from 'pg';
import { postgresCommand, postgresTool } from '../../support/cluster.ts';
import { eventually } from '../../support/eventually.ts';
import type { Lifetime } from '../../support/lifetime.ts';
import { freePort } from '../../support/process.ts';
import { runCommand } from './command.ts';

/** A PostgreSQL server in a directory of its own, as durable as one in production. */
export interface Server {
  readonly port: number;
  start(): Promise<void>;
  stop(mode: 'fast' | 'immediate'): Promise<void>;
  restart(mode: 'fast' | 'immediate'): Promise<void>;
  /** Kills the postmaster, and waits until the last of its processes has noticed. */
  kill(): Promise<void>;
  isRunning(): Promise<boolean>;
  promote(): Promise<void>;
  /** Runs statements over a connection of its own; answers the rows of the last. */
  query(...statements: readonly string[]): Promise<Record<string, unknown>[]>;
}

interface ServerOptions {
  /** Where its data goes, which is not there yet. */
  readonly data: string;
  readonly log: string;
  /** Of whom it is a copy, that follows; otherwise it begins with nothing. */
  readonly follows?: Pick<Server, 'port'>;
}

const settings = `
listen_addresses = '127.0.0.1'
fsync = on
synchronous_commit = on
max_wal_size = 64MB
min_wal_size = 32MB
`;

/** Makes a server, which is not started. */
export async function createServer(run: Lifetime, { data, log, follows }: ServerOptions): Promise<Server> {
  const port = await freePort();
  const url = `postgres://postgres@127.0.0.1:${port}/postgres`;
  const asPostgres = (...command: [string, ...string[]]) => runCommand(postgresCommand(command));
  const control = (verb: string, ...options: string[]) => asPostgres(postgresTool('pg_ctl'), verb, '-w', '-s', '-D', data, ...options);

  if (follows === undefined) {
    await asPostgres(postgresTool('initdb'), '-D', data, '-U', 'postgres', '-A', 'trust', '-E', 'UTF8', '--locale=C.UTF-8', '--no-sync');
    await appendFile(join(data, 'postgresql.conf'), settings);
  } else {
    const source = ['-h', '127.0.0.1', '-p', String(follows.port), '-U', 'postgres'];
    await asPostgres(postgresTool('pg_basebackup'), '-D', data, '-R', '-X', 'stream', '-c', 'fast', '--no-sync', ...source);
  }
  await appendFile(join(data, 'postgresql.conf'), `port = ${port}\nunix_socket_directories = '${data}'\n`);

  async function postmaster(): Promise<number> {
    return Number((await readFile(join(data, 'postmaster.pid'), 'utf8')).split('\n')[0]);
  }

  async function isRunning(): Promise<boolean> {
    return control('status').then(
      () => true,
      () => false,
    );
  }

  const server: Server = {
    port,
    start: async () => void (await control('start', '-l', log)),
    stop: async (mode) => void (await control('stop', '-m', mode)),
    restart: async (mode) => void (await control('restart', '-m', mode, '-l', log)),
    async kill() {
      const pid = await postmaster();
      const children = (await readFile(`/proc/${pid}/task/${pid}/children`, 'utf8')).split(' ').map(Number).filter(Boolean);
      process.kill(pid, 'SIGKILL');
      await eventually('its processes have ended', async () => {
        const states = await Promise.all([pid, ...children].map(lives));
        return !states.includes(true);
      });
    },
    isRunning,
    promote: async () => void (await control('promote')),
    async query(...statements) {
      const client = new pg.Client({ connectionString: url, connectionTimeoutMillis: 5000 });
      client.on('error', () => {});
      await client.connect();
      try {
        let rows: Record<string, unknown>[] = [];
        for (const statement of statements) ({ rows } = await client.query(statement));
        return rows;
      } finally {
        await client.end().catch(() => {});
      }
    },
  };
  run.teardown(async () => {
    if (await isRunning()) await server.stop('immediate');
  });
  return server;
}

/** Whether a process has not ended; one that has, but that nobody has asked for its end, is still listed. */
async function lives(pid: number): Promise<boolean> {
  const status = await readFile(`/proc/${pid}/stat`, 'utf8').catch(() => '');
  return status !== '' && !/\) [ZX] /.test(status);
}
