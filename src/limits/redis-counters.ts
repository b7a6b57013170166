import type { FastifyBaseLogger } from 'fastify';
import { Redis, type Result } from 'ioredis';
import type { Change, Counter, Counters } from './counters.ts';

/** One command a counter, not one for all: they may be on different nodes of a cluster. What was given back too late counts as nothing. */
const script = `
  local used = redis.call('INCRBY', KEYS[1], ARGV[1])
  local left = redis.call('PTTL', KEYS[1])
  if left < 0 then
    left = tonumber(ARGV[2])
    redis.call('PEXPIRE', KEYS[1], left)
  end
  if used < 0 then
    used = 0
    redis.call('SET', KEYS[1], 0, 'KEEPTTL')
  end
  return { used, left }
`;

declare module 'ioredis' {
  interface RedisCommander<Context> {
    latchkeyCount(key: string, by: number, windowMs: number): Result<[used: number, leftMs: number], Context>;
  }
}

/** How long it takes, at most, until it tries again to reach a server that is away. */
const longestRetryMs = 2000;

/** Counters in Redis, by its time. It is connected to in the background, and again whenever it was away. */
export function openRedisCounters(url: string, log: FastifyBaseLogger): Counters & { close(): Promise<void> } {
  const redis = new Redis(url, {
    // Whatever cannot be sent now is too late for whoever asks.
    enableOfflineQueue: false,
    maxRetriesPerRequest: 0,
    connectTimeout: 2000,
    // One that has become a replica keeps its connections, and takes no writes.
    reconnectOnError: ({ message }) => message.includes('READONLY'),
    retryStrategy: (attempt) => Math.min(attempt * 100, longestRetryMs),
  });
  redis.defineCommand('latchkeyCount', { numberOfKeys: 1, lua: script });
  // Without a listener an error would end the process; what it means for requests is logged where they are counted.
  redis.on('error', (err) => log.debug({ err }, 'Redis cannot be reached'));

  async function change({ key, by, windowSeconds }: Change): Promise<Counter> {
    const [used, leftMs] = await redis.latchkeyCount(`latchkey:limit:${key}`, by, windowSeconds * 1000);
    return { used, resetsInSeconds: leftMs / 1000 };
  }

  return {
    add: (changes) => Promise.all(changes.map(change)),
    close: async () => redis.disconnect(),
  };
}
