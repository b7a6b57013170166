import fastifySwagger from '@fastify/swagger';
import type { TSchema } from '@sinclair/typebox';
import fp from 'fastify-plugin';
import { type AccessLevel, defaultAccess } from '../guard/access.ts';
import { UserSchema } from '../identity/user-schema.ts';
import { catalogue, type ProblemCode } from '../problems/catalogue.ts';
import { ProblemSchema } from '../problems/schema.ts';
import { seconds, text } from '../schemas.ts';

/** Problems that any route may answer with, and those that its access level brings. */
const everywhere: readonly ProblemCode[] = ['malformed_request', 'validation_failed', 'uri_too_long', 'internal_error'];
const withBody: readonly ProblemCode[] = ['payload_too_large', 'unsupported_media_type'];
const forRole: readonly ProblemCode[] = ['forbidden'];
const limited: readonly ProblemCode[] = ['rate_limited'];
const withMailedToken: readonly ProblemCode[] = ['invalid_token', 'rate_limited'];
const byAccess: Readonly<Record<AccessLevel, readonly ProblemCode[]>> = {
  public: [],
  visitor: ['ambiguous_credentials', 'cross_origin_rejected', 'unconfirmed'],
  session: ['unauthenticated', 'ambiguous_credentials', 'cross_origin_rejected'],
  confirmed: ['unauthenticated', 'ambiguous_credentials', 'cross_origin_rejected', 'unconfirmed'],
};

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
          description: 'Accounts whose e-mail address must be confirmed. Errors are problem details (RFC 9457); decide by their `code`.',
          contact: { name: 'Whoever runs this service', url: publicUrl },
          license: { name: 'MIT', identifier: 'MIT' },
        },
        servers: [server],
        tags: [
          { name: 'Accounts', description: 'Opening an account, looking at it, changing and deleting it.' },
          { name: 'Sessions', description: 'Logging in and out.' },
          { name: 'Confirmation', description: 'Proving that an address is one’s own.' },
          { name: 'Passwords', description: 'Changing the password, and setting a new one when it is forgotten.' },
          { name: 'E-mail change', description: 'Another address for an account.' },
          { name: 'Administration', description: 'For users with the role `admin`.' },
          { name: 'Gateway', description: 'For proxies in front of other applications.' },
          { name: 'Mailbox', description: 'The mails, while no mail server is configured.' },
          { name: 'Sample', description: "An application's own routes, guarded." },
          { name: 'Problems', description: 'What the problem codes mean.' },
          { name: 'Operations', description: 'For those who run the service.' },
        ],
        components: {
          securitySchemes: {
            bearer: {
              type: 'http',
              scheme: 'bearer',
              bearerFormat: 'JWT',
              description: 'The access token of a session: a JWT after RFC 9068, made and checked as RFC8725 says.',
            },
            cookie: {
              type: 'apiKey',
              in: 'cookie',
              name: accessCookie,
              description: 'The same, as a cookie that a login in cookie mode sets.',
            },
          },
        },
      },
      refResolver: { buildLocalReference: (json, _baseUri, _fragment, index) => String(json['$id'] ?? `schema-${index}`) },
      transform: ({ schema, url, route }) => {
        const access = route.config?.access ?? defaultAccess;
        const own = (schema ?? {}) as RouteSchema;
        const { limit, page = false, problems = [], refusalHeaders, role, takesMailedToken } = route.config ?? {};
        // Of a DELETE, too, the body is read, if there is one.
        const takesBody = own.body !== undefined || route.method === 'DELETE';
        const codes = [
          ...everywhere,
          ...(takesBody ? withBody : []),
          ...byAccess[access],
          ...(role ? forRole : []),
          ...(limit ? limited : []),
          ...(takesMailedToken ? withMailedToken : []),
          ...problems,
        ];
        const documented = {
          ...schema,
          security: security(access),
          response: { ...(page ? withPages(own.response) : own.response), ...problemResponses(codes, page, refusalHeaders) },
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

function security(access: AccessLevel): Record<string, string[]>[] {
  if (access === 'public') return [];
  const session = [{ bearer: [] }, { cookie: [] }];
  return access === 'visitor' ? [{}, ...session] : session;
}

const pageContent = { 'text/html': { schema: text(1_000_000) } };

/** What browsers get where clients get JSON. */
function withPages(responses: RouteSchema['response'] = {}): Record<string, unknown> {
  const both = Object.entries(responses).map(([status, schema]) => {
    if (schema.type === 'null') return [status, schema];
    return [status, { description: schema.description, content: { 'application/json': { schema }, ...pageContent } }];
  });
  return Object.fromEntries(both);
}

const retryAfter = seconds('After how many seconds it may be tried again.', { minimum: 1 });
type RefusalHeaders = Readonly<Record<number, object>>;

const headersOf: RefusalHeaders = {
  401: { 'WWW-Authenticate': text(200, 'RFC 6750.') },
  429: {
    'Retry-After': retryAfter,
    RateLimit: text(200, 'What is left of the limits (draft-ietf-httpapi-ratelimit-headers).'),
    'RateLimit-Policy': text(200, 'The limits: how often in how many seconds.'),
  },
  503: { 'Retry-After': retryAfter },
};

/** One response a status, listing the codes that it may carry. */
function problemResponses(codes: readonly ProblemCode[], page: boolean, ownHeaders: RefusalHeaders = {}): Record<string, unknown> {
  const responses: Record<string, unknown> = {};
  for (const status of new Set(codes.map((code) => catalogue[code].status))) {
    const named = [...new Set(codes)].filter((code) => catalogue[code].status === status);
    const headers = { ...headersOf[status], ...ownHeaders[status] };
    responses[status] = {
      ...(Object.keys(headers).length > 0 && { headers }),
      description: named.map((code) => `\`${code}\`: ${catalogue[code].title}.`).join(' '),
      content: { 'application/problem+json': { schema: { $ref: 'Problem#' } }, ...(page && pageContent) },
    };
  }
  return responses;
}
