import fastifySwagger from '@fastify/swagger';
import type { TSchema } from '@sinclair/typebox';
import type { FastifyContextConfig } from 'fastify';
import fp from 'fastify-plugin';
import { type AccessLevel, defaultAccess } from '../guard/access.ts';
import { UserSchema } from '../identity/user-schema.ts';
import type { ProblemCode } from '../problems/catalogue.ts';
import { ProblemSchema } from '../problems/schema.ts';
import { headersOf } from './answer-headers.ts';
import { finishDocument } from './finish-document.ts';
import { problemExamples } from './problem-examples.ts';
import { pageContent, problemResponses, problemsOf } from './problem-responses.ts';

interface RouteSchema {
  readonly body?: unknown;
  readonly response?: Record<string, TSchema>;
}

/**
 * The OpenAPI document, made from the routes: their schemas, their access levels and the problems that they name.
 * Served at `/openapi.json`; registered before the routes, so that it sees them all.
 */
export const openapiPlugin = fp<{ publicUrl: string; accessCookie: string }>(
  async (app, { publicUrl, accessCookie }) => {
    const server = { url: publicUrl, 'x-internal': false };
    app.addSchema(ProblemSchema);
    app.addSchema(UserSchema);
    await app.register(fastifySwagger, {
      openapi: {
        openapi: '3.1.0',
        info: {
          title: 'Latchkey',
          version: '1.0.0',
          contact: { name: 'Whoever runs this service', url: publicUrl },
          license: { name: 'MIT', identifier: 'MIT' },
        },
        servers: [server],
        // In the order of the introduction, then of how often they are looked for.
        tags: [
          { name: 'Accounts', description: 'Opening an account, looking at it, changing and deleting it.' },
          { name: 'Sessions', description: 'Logging in, refreshing and logging out; where one is logged in; the keys of access tokens.' },
          { name: 'Sample', description: "An application's own routes, guarded." },
          { name: 'Mailbox', description: 'The mails, while no mail server is configured.' },
          { name: 'Confirmation', description: 'Proving that an address is one’s own.' },
          { name: 'Passwords', description: 'Changing the password, and setting a new one when it is forgotten.' },
          { name: 'E-mail change', description: 'Another address for an account.' },
          { name: 'Administration', description: 'For users with the role `admin`.' },
          { name: 'Gateway', description: 'For proxies in front of other applications.' },
          { name: 'Problems', description: 'What the problem codes mean.' },
          { name: 'Operations', description: 'For those who run the service.' },
        ],
        components: {
          examples: problemExamples,
          securitySchemes: {
            // First, since Swagger UI puts the cursor into the last field.
            cookie: {
              type: 'apiKey',
              in: 'cookie',
              name: accessCookie,
              description:
                'The access token, in a cookie: a login with `"transport": "cookie"` sets it, and the browser sends it by itself. There is nothing to fill in.',
            },
            bearer: {
              type: 'http',
              scheme: 'bearer',
              bearerFormat: 'JWT',
              description:
                'The `accessToken` that a login or refresh answers with, without the word Bearer. A JWT after RFC 9068, made and checked as RFC8725 says.',
            },
          },
        },
      },
      transformObject: finishDocument,
      refResolver: { buildLocalReference: (json, _baseUri, _fragment, index) => String(json['$id'] ?? `schema-${index}`) },
      transform: ({ schema, url, route }) => {
        const access = route.config?.access ?? defaultAccess;
        const own = (schema ?? {}) as RouteSchema;
        const config = route.config ?? {};
        const codes = problemsOf(route);
        const documented = {
          ...schema,
          security: security(access, codes),
          response: { ...ownResponses(own.response, config), ...problemResponses(codes, config) },
        };
        return { schema: documented, url };
      },
    });

    app.route({
      method: 'GET',
      url: '/openapi.json',
      config: { access: 'public' },
      schema: { hide: true },
      handler: (_request, reply) => reply.header('cache-control', 'public, max-age=300').send(app.swagger()),
    });
  },
  { name: 'openapi' },
);

/** Where one may do without a session, none is the first choice; where it is of no use, there is no other. */
function security(access: AccessLevel, codes: readonly ProblemCode[]): Record<string, string[]>[] {
  const session = [{ bearer: [] }, { cookie: [] }];
  if (access === 'session' || access === 'confirmed') return session;
  return access === 'visitor' || codes.includes('unauthenticated') ? [{}, ...session] : [];
}

/** What a route answers when all is well: with its header fields, and with what browsers get where clients get JSON. */
function ownResponses(responses: RouteSchema['response'] = {}, config: FastifyContextConfig): Record<string, unknown> {
  const described = Object.entries(responses).map(([status, schema]) => {
    const headers = headersOf(config, Number(status));
    if (!config.page || schema.type === 'null') return [status, { ...schema, ...headers }];
    return [status, { description: schema.description, ...headers, content: { 'application/json': { schema }, ...pageContent } }];
  });
  return Object.fromEntries(described);
}
