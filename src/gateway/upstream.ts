import fastifyHttpProxy from '@fastify/http-proxy';
import type { FastifyPluginAsync, FastifyReply, FastifyRequest } from 'fastify';
import { Problem } from '../problems/problem.ts';
import { createLoginAddress } from './login-address.ts';
import { followStreams } from './open-streams.ts';
import { isRepeatable, pathToReturnTo } from './original-path.ts';
import { isPlainTarget } from './plain-path.ts';
import { routePlainUpgrades } from './upgrades.ts';
import { proxyOptions, type UpstreamOptions } from './upstream-proxy.ts';

/**
 * Passes whatever is no route of the service's own on to an application, with whose it is in its header fields.
 *
 * The application has no account of its own to keep: all that is not under `publicPaths` reaches it from confirmed users
 * only. Register it last, so that it owns what is left.
 */
export const upstreamPlugin: FastifyPluginAsync<UpstreamOptions> = async (app, options) => {
  const { upstream } = options;
  const follow = followStreams(app, options.revocations);
  const loginAddress = createLoginAddress(options.config, ({ method, url }) => (isRepeatable(method) ? pathToReturnTo(url) : undefined));

  app.addHook('onRoute', (route) => {
    route.schema = { ...route.schema, hide: true };
  });
  // What the service may answer there some day, an application must not answer today.
  for (const url of ['/auth', '/auth/*', '/admin/users/*']) {
    app.route({ method: app.supportedMethods, url, config: { access: 'public' }, ...notFound });
  }

  // Bodies are passed on as they come, whatever they are.
  app.removeAllContentTypeParsers();
  app.addHook('onRequest', async (request, reply) => {
    if (!isPlainTarget(request.url)) throw new Problem('malformed_request');
    follow(request, reply);
  });
  app.addHook('preHandler', async (request) => {
    if (hasUnreadBody(request)) throw new Problem('malformed_request', { headers: { connection: 'close' } });
  });
  app.setErrorHandler((error, request, reply) => {
    const location = error instanceof Problem && error.code === 'unauthenticated' ? loginAddress(request) : undefined;
    if (location === undefined) throw error;
    request.problemCode = 'unauthenticated';
    return reply.redirect(location, 303);
  });

  const isAllPublic = upstream.publicPaths.includes('/');
  const publicRoutes = upstream.publicPaths.filter((path) => path !== '/').flatMap((path) => [path, `${path}/*`]);
  await app.register(fastifyHttpProxy, proxyOptions(app, options, ['/', '/*'], isAllPublic ? 'public' : 'confirmed'));
  if (publicRoutes.length > 0) await app.register(fastifyHttpProxy, proxyOptions(app, options, publicRoutes, 'public'));
  routePlainUpgrades(app);
};

/** Before anything is read. */
const notFound = {
  onRequest: (_request: FastifyRequest, _reply: FastifyReply, done: (error: Error) => void) => done(new Problem('not_found')),
  handler: () => undefined,
};

/** A body that nobody has read, since its method has none or the connection was to change its protocol; it must not get lost. */
function hasUnreadBody({ headers, body }: FastifyRequest): boolean {
  const isDeclared = headers['transfer-encoding'] !== undefined || Number(headers['content-length'] ?? 0) > 0;
  return isDeclared && (body === undefined || asksForUpgrade(headers));
}

/** Another protocol that `Connection` does not name is not asked for (RFC 9110 §7.8), and Node reads the body. */
function asksForUpgrade({ upgrade, connection = '' }: FastifyRequest['headers']): boolean {
  return upgrade !== undefined && /\bupgrade\b/i.test(connection);
}
