import type { Limit } from './limits.ts';

/** What is left of a limit. */
export interface Quota {
  readonly limit: Limit;
  /** Below nothing when it is exhausted. */
  readonly remaining: number;
  readonly resetsInSeconds: number;
}

/**
 * The header fields that tell a client what it may still ask for (draft-ietf-httpapi-ratelimit-headers-10): of each
 * limit its size and window, and what is left of it until it begins anew.
 */
export function quotaFields(quotas: readonly Quota[]): Record<string, string> {
  if (quotas.length === 0) return {};
  return {
    'ratelimit-policy': quotas.map(({ limit: { name, max, windowSeconds } }) => `"${name}";q=${max};w=${windowSeconds}`).join(', '),
    ratelimit: quotas
      .map(({ limit, remaining, resetsInSeconds }) => {
        return `"${limit.name}";r=${Math.max(0, remaining)};t=${Math.max(0, Math.ceil(resetsInSeconds))}`;
      })
      .join(', '),
  };
}
