import type { FastifyRequest } from 'fastify';
import type { Config } from '../config.ts';
import { wantsPage } from '../pages/negotiation.ts';
import type { OriginalPath } from './original-path.ts';

/** Where whoever has sent a request is to log in; undefined for API clients, and where no such page is configured. */
export type LoginAddress = (request: FastifyRequest) => string | undefined;

/** Sends people to `LOGIN_URL` and to nowhere else, with `next` in its query when it is known which path they came for. */
export function createLoginAddress({ loginUrl }: Pick<Config, 'loginUrl'>, originalPath: OriginalPath): LoginAddress {
  return (request) => {
    if (loginUrl === undefined || !wantsPage(request)) return undefined;
    const url = new URL(loginUrl);
    const next = originalPath(request);
    if (next !== undefined) url.searchParams.set('next', next);
    return url.href;
  };
}
