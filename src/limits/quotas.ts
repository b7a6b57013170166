import type { Limit } from './limits.ts';

/** What is left of a limit. */
export interface Quota {
  readonly limit: Limit;
  /** Below nothing when it is exhausted. */
  readonly remaining: number;
  readonly resetsInSeconds: number;
}

/**
 * The header fields that tell a client how often it may ask (draft-ietf-httpapi-ratelimit-headers-10): the size and the
 * window of each limit, and what is left of those of which half is used. Before that they are always the same, so that
 * nobody who compares answers has to wonder what a number tells.
 */
export function quotaFields(quotas: readonly Quota[]): Record<string, string> {
  if (quotas.length === 0) return {};
  const policies = quotas.map(({ limit: { shownAs, max, windowSeconds } }) => `"${shownAs}";q=${max};w=${windowSeconds}`);
  const scarce = quotas
    .filter(({ limit, remaining }) => remaining < limit.max / 2)
    .map(({ limit: { shownAs }, remaining, resetsInSeconds }) => {
      return `"${shownAs}";r=${Math.max(0, remaining)};t=${Math.max(0, Math.ceil(resetsInSeconds))}`;
    });
  return { 'ratelimit-policy': policies.join(', '), ...(scarce.length > 0 && { ratelimit: scarce.join(', ') }) };
}
