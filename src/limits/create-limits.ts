import type { FastifyBaseLogger } from 'fastify';
import type { Clock } from '../clock.ts';
import type { Queryable } from '../db/database.ts';
import { createLimiter, createLimitKey, type Limiter, type LimiterOptions } from './limiter.ts';
import { createPasswordAttempts, type PasswordAttempts } from './password-attempts.ts';
import { createPostgresCounters } from './postgres-counters.ts';
import { createRecipients, type Recipients } from './recipients.ts';
import { createResilientCounters } from './resilient-counters.ts';
import { createTokenGuesses, type TokenGuesses } from './token-guesses.ts';

/** How often something may be done: see the table in README.md. */
export interface Limits extends LimiterOptions {
  readonly limiter: Limiter;
  readonly passwords: PasswordAttempts;
  readonly tokens: TokenGuesses;
  readonly recipients: Recipients;
  close(): Promise<void>;
}

interface LimitsOptions {
  readonly isOn: boolean;
  readonly redisUrl: string | undefined;
  readonly secret: string;
  readonly db: Queryable;
  readonly clock: Clock;
  readonly networkDigests: (ip: string) => readonly string[];
  readonly log: FastifyBaseLogger;
}

/** How long a request waits for the counters, in milliseconds. Without the database it comes to nothing in any case. */
const patience = { redisMs: 50, postgresMs: 1000 };

/** Creates the limits, with counters that all instances share: in Redis if there is one, else in the database. */
export async function createLimits({ isOn, redisUrl, secret, db, clock, networkDigests, log }: LimitsOptions): Promise<Limits> {
  // Not loaded where nobody needs it.
  const redis = redisUrl === undefined || !isOn ? undefined : (await import('./redis-counters.ts')).openRedisCounters(redisUrl, log);
  const shared = redis ?? createPostgresCounters(db, clock);
  const patienceMs = redis === undefined ? patience.postgresMs : patience.redisMs;
  const counters = createResilientCounters({ shared, patienceMs, clock, log });
  const limitKey = createLimitKey(secret);
  const limiter = createLimiter({ counters, limitKey, isOn });
  return {
    ...{ counters, limitKey, isOn, limiter },
    passwords: createPasswordAttempts({ limiter, isOn, db, clock, networkDigests }),
    tokens: createTokenGuesses(limiter),
    recipients: createRecipients({ clock, limitKey, isOn }),
    close: async () => redis?.close(),
  };
}
