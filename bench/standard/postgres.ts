import { createServer } from '../../test/faults/harness/server.ts';
import { asPostgres } from '../../test/support/cluster.ts';
import type { Lifetime } from '../../test/support/lifetime.ts';

/** A PostgreSQL server of the run's own, on the core that the run is bound to, as durable as one in production. */
export interface Postgres {
  /** Makes an empty database, and answers its address. */
  create(name: string): Promise<string>;
}

export async function startPostgres(run: Lifetime): Promise<Postgres> {
  // Not in TMPDIR, where the user that PostgreSQL runs as may have no right to go.
  const directory = asPostgres('mktemp', '-d', '/tmp/latchkey-bench.XXXXXX').trim();
  run.teardown(() => void asPostgres('rm', '-rf', directory));
  const server = await createServer(run, { data: `${directory}/data`, log: `${directory}/log` });
  await server.start();
  return {
    async create(name) {
      await server.query(`create database ${name}`);
      return `postgres://postgres@127.0.0.1:${server.port}/${name}`;
    },
  };
}
