import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { existsSync } from 'node:fs';
import { Redis } from 'ioredis';
import type { Test } from 'tap';
import { eventually } from './eventually.ts';
import { freePort } from './process.ts';

const executable = '/usr/bin/redis-server';

/** Why a test that needs a Redis server is left out; false when it is not. In CI there always is one. */
export const noRedis = existsSync(executable) || process.env['CI'] !== undefined ? false : `there is no Redis server at ${executable}`;

/** A Redis server that can be stopped, held up and started again. */
export interface RedisServer {
  readonly url: string;
  start(): Promise<void>;
  /** Ends it at once; all that it held is gone. */
  kill(): Promise<void>;
  /** Lets it answer nothing until it goes on. */
  hold(): void;
  goOn(): void;
  flush(): Promise<void>;
  /** Makes it the replica of another server, so that it takes no writes. */
  follow(host: string, port: number): Promise<void>;
  /** How many connections there have been, with that of this question. */
  connections(): Promise<number>;
}

/** Starts a Redis server that keeps nothing, for as long as the test runs. */
export async function startRedis(t: Test): Promise<RedisServer> {
  const port = await freePort();
  const url = `redis://127.0.0.1:${port}`;
  let child: ChildProcess | undefined;

  async function withClient<Result>(work: (client: Redis) => Promise<Result>): Promise<Result> {
    const client = new Redis(url, { lazyConnect: true, retryStrategy: () => null });
    client.on('error', () => {});
    try {
      await client.connect();
      return await work(client);
    } finally {
      client.disconnect();
    }
  }

  const server: RedisServer = {
    url,
    async start() {
      child = spawn(executable, ['--port', String(port), '--bind', '127.0.0.1', '--save', '', '--appendonly', 'no'], { stdio: 'ignore' });
      const answers = () =>
        withClient((client) => client.ping()).then(
          () => true,
          () => false,
        );
      await eventually('Redis answers', answers);
    },
    async kill() {
      if (child === undefined) return;
      const end = once(child, 'close');
      child.kill('SIGKILL');
      await end;
      child = undefined;
    },
    hold: () => void child?.kill('SIGSTOP'),
    goOn: () => void child?.kill('SIGCONT'),
    flush: () => withClient(async (client) => void (await client.flushall())),
    follow: (host, followed) => withClient(async (client) => void (await client.replicaof(host, followed))),
    connections: () => withClient(async (client) => Number(/total_connections_received:(\d+)/.exec(await client.info('stats'))?.[1])),
  };
  t.teardown(() => server.kill());
  await server.start();
  return server;
}
