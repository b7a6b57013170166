import fastifySwaggerUi from '@fastify/swagger-ui';
import type { FastifyPluginAsync } from 'fastify';
import '../guard/access.ts';

/** What the page needs: its own files, the document, and the styles and pictures that its scripts put in. */
const docsPolicy = [
  "default-src 'none'",
  "script-src 'self'",
  "style-src 'self' 'unsafe-inline'",
  "img-src 'self' data:",
  "font-src 'self'",
  "connect-src 'self'",
  "frame-ancestors 'none'",
  "base-uri 'none'",
  "form-action 'none'",
].join('; ');

/**
 * The page sends its requests to where it came from, which may have another name than PUBLIC_URL, such as 127.0.0.1:
 * by that one they would be of another origin, without cookies, and refused by the page's own policy.
 */
const ownServer = { url: '/', description: 'This service, by the address of this page' };

/** `GET /docs`: a page to read about the API and to try it on. It has a content security policy of its own. */
export const docsPlugin: FastifyPluginAsync = async (app) => {
  app.addHook('onRoute', (route) => {
    route.config = { ...route.config, access: 'public' };
  });
  await app.register(fastifySwaggerUi, {
    routePrefix: '/docs',
    staticCSP: docsPolicy,
    // Without the bar on top, which is for loading other documents.
    uiConfig: { layout: 'BaseLayout', persistAuthorization: false, tryItOutEnabled: true, displayRequestDuration: true },
    transformSpecification: (document) => ({ ...document, servers: [ownServer] }),
    transformSpecificationClone: false,
    theme: { title: 'Latchkey API' },
  });
};
