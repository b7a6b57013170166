import { createHmac } from 'node:crypto';
import { Problem } from '../problems/problem.ts';
import { deriveKey } from '../tokens/keys.ts';
import type { Change, Counters } from './counters.ts';
import type { Limit } from './limits.ts';
import { type Quota, quotaFields } from './quotas.ts';

/** One use of something that is limited. */
export interface Claim {
  readonly limit: Limit;
  /** Whom it is counted for: a network, an account, an address. */
  readonly subject: string;
}

export interface Grant {
  readonly quotas: readonly Quota[];
  /** Takes the uses back: they have turned out not to be what is limited. Does not wait for it. */
  giveBack(): void;
}

export interface Limiter {
  /**
   * Counts one use of each claim, and grants all or none of them: of parallel ones, on whichever instances, no more
   * are granted than there are left.
   *
   * @throws Problem `rate_limited` when one of them is exhausted; then nothing is counted
   */
  take(claims: readonly Claim[]): Promise<Grant>;
}

/** Counts nothing and grants everything. */
const unlimited: Limiter = {
  take: async () => ({ quotas: [], giveBack() {} }),
};

export interface LimiterOptions {
  /** They must not fail: see createResilientCounters. */
  readonly counters: Counters;
  readonly limitKey: LimitKey;
  readonly isOn: boolean;
}

export function createLimiter({ counters, limitKey, isOn }: LimiterOptions): Limiter {
  if (!isOn) return unlimited;

  return {
    async take(claims) {
      const changes = claims.map((claim) => changeOf(limitKey, claim));
      const giveBack = () => void counters.add(changes.map((change) => ({ ...change, by: -change.by })));
      const counted = await counters.add(changes);
      const quotas = claims.map(({ limit }, index) => {
        const { used = 0, resetsInSeconds = 0 } = counted[index] ?? {};
        return { limit, remaining: limit.max - used, resetsInSeconds };
      });
      const exhausted = quotas.filter(({ remaining }) => remaining < 0);
      if (exhausted.length === 0) return { quotas, giveBack };
      giveBack();
      throw rateLimited(exhausted);
    },
  };
}

/** The refusal of a request for which limits are exhausted. */
export function rateLimited(exhausted: readonly Quota[]): Problem {
  return new Problem('rate_limited', {
    retryAfterSeconds: Math.max(...exhausted.map(({ resetsInSeconds }) => resetsInSeconds)),
    headers: quotaFields(exhausted),
  });
}

/** The name of a counter. */
export type LimitKey = (claim: Claim) => string;

/** Of a digest's bytes, enough that no two subjects ever share a counter. */
const digestBytes = 16;

/** @param secret the same for all instances; without it nobody can tell whom a counter is about */
export function createLimitKey(secret: string): LimitKey {
  const key = deriveKey(secret, 'limits');
  return ({ limit, subject }) => {
    const digest = createHmac('sha256', key).update(subject).digest().subarray(0, digestBytes);
    return `${limit.name}:${digest.toString('base64url')}`;
  };
}

/** One more use of a claim. */
export function changeOf(limitKey: LimitKey, claim: Claim): Change {
  return { key: limitKey(claim), by: 1, windowSeconds: claim.limit.windowSeconds };
}
