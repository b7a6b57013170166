import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { existsSync } from 'node:fs';
import { Redis } from 'ioredis';
import type { Test } from 'tap';
import { eventually } from './eventually.ts';
import { newDetails } from './person.ts';
import { freePort } from './process.ts';
import type { Service } from './service.ts';

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

/** How often a service has said so. */
const timesSaid = ({ log }: Service, text: string) => log.filter((line) => line.includes(text)).length;

/** Waits until a service counts in Redis, as it says when it has done so by itself for a while. */
export async function untilCountedThere(service: Service): Promise<void> {
  await eventually('it counts in Redis', async () => {
    await service.post('/auth/password/forgot', { email: newDetails().email });
    return timesSaid(service, 'are back') === timesSaid(service, 'are away');
  });
}

/** Does something until the services have counted in Redis all the while: one that has to wait for it a moment too long counts by itself. */
export async function whileCountedThere<Result>(services: readonly Service[], attempt: () => Promise<Result>): Promise<Result> {
  const timesAway = () => services.reduce((sum, service) => sum + timesSaid(service, 'are away'), 0);
  for (let tries = 1; ; tries += 1) {
    const before = timesAway();
    for (const service of services) await untilCountedThere(service);
    const result = await attempt();
    if (timesAway() === before || tries === 5) return result;
  }
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
