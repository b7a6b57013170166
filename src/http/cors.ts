import fastifyCors, { type FastifyCorsOptions } from '@fastify/cors';
import type { FastifyRequest } from 'fastify';
import fp from 'fastify-plugin';

interface CorsOptions {
  /** Origins that may read answers to requests with credentials. */
  readonly origins: readonly string[];
}

const exposedHeaders = ['ratelimit', 'ratelimit-policy', 'retry-after', 'x-request-id'];

/**
 * Lets the browser pages of some origins read our answers (Fetch standard, CORS); without any, of none.
 *
 * Only real preflights from there are answered here. Any other OPTIONS request gets what it would get without CORS, as
 * does each to the route that proxies ask about a request: to them, a preflight's 204 would be a yes.
 */
export const corsPlugin = fp<CorsOptions>(
  async (app, { origins }) => {
    if (origins.length === 0) return;
    const options: FastifyCorsOptions = {
      origin: [...origins],
      credentials: true,
      exposedHeaders,
      methods: app.supportedMethods,
      maxAge: 600,
    };
    // The plugin's own route, for preflights of paths that nothing is known of.
    app.addHook('onRoute', (route) => {
      if (route.url === '*') route.config = { ...route.config, access: 'public' };
    });
    await app.register(
      fastifyCors,
      () => (request: FastifyRequest, callback: (error: Error | null, options: FastifyCorsOptions) => void) => {
        const isListed = isOneOf(origins, request);
        callback(null, isListed ? { ...options, preflight: isPreflight(request) } : { origin: false });
      },
    );
  },
  { name: 'cors', dependencies: ['http'] },
);

const askedByProxies = '/auth/verify';

function isPreflight({ method, routeOptions, headers }: FastifyRequest): boolean {
  return method === 'OPTIONS' && headers['access-control-request-method'] !== undefined && routeOptions.url !== askedByProxies;
}

function isOneOf(origins: readonly string[], { headers: { origin } }: Pick<FastifyRequest, 'headers'>): boolean {
  return origin !== undefined && origins.includes(origin);
}

/** What the answers of the plugin above say, for those that pass no hook. */
export function corsFields(origins: readonly string[], request: Pick<FastifyRequest, 'headers'>): Record<string, string> {
  if (origins.length === 0) return {};
  const vary = { vary: 'Origin' };
  if (!isOneOf(origins, request)) return vary;
  return {
    ...vary,
    'access-control-allow-credentials': 'true',
    'access-control-expose-headers': exposedHeaders.join(', '),
    'access-control-allow-origin': request.headers.origin ?? '',
  };
}
