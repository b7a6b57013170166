import proxyAddr from '@fastify/proxy-addr';
import type { FastifyRequest } from 'fastify';
import type { Config } from '../config.ts';
import { wantsPage } from '../pages/negotiation.ts';
import { findOriginalPath } from './original-path.ts';

/** Where whoever has sent a request is to log in; undefined for API clients, and where no such page is configured. */
export type LoginAddress = (request: FastifyRequest) => string | undefined;

/**
 * Sends people to `LOGIN_URL` and to nowhere else, with `next` in its query when a proxy in `TRUSTED_PROXIES` has told
 * which path they came for. Nobody else is believed, and `next` is never more than a path: see {@link findOriginalPath}.
 */
export function createLoginAddress({ loginUrl, server }: Pick<Config, 'loginUrl' | 'server'>): LoginAddress {
  // Fastify's own decision about whose X-Forwarded-For counts, which it does not give away.
  const isTrusted = proxyAddr.compile([...server.trustedProxies]);
  return (request) => {
    if (loginUrl === undefined || !wantsPage(request)) return undefined;
    const url = new URL(loginUrl);
    const next = isTrusted(request.socket.remoteAddress ?? '', 0) ? findOriginalPath(request.headers) : undefined;
    if (next !== undefined) url.searchParams.set('next', next);
    return url.href;
  };
}
