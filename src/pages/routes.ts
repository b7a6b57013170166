import type { FastifyPluginAsync } from 'fastify';
import '../guard/access.ts';
import { stylesheetPath } from './pages.ts';
import { stylesheet } from './stylesheet.ts';

/** What the pages need besides themselves. */
export const pageAssets: FastifyPluginAsync = async (app) => {
  app.route({
    method: 'GET',
    url: stylesheetPath,
    config: { access: 'public' },
    schema: { hide: true },
    handler: (_request, reply) =>
      reply.headers({ 'content-type': 'text/css; charset=utf-8', 'cache-control': 'public, max-age=31536000, immutable' }).send(stylesheet),
  });
};
