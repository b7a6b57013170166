import type { FastifyContextConfig, RouteOptions } from 'fastify';
import { type AccessLevel, defaultAccess } from '../guard/access.ts';
import { catalogue, type ProblemCode } from '../problems/catalogue.ts';
import { text } from '../schemas.ts';
import { headersOf } from './answer-headers.ts';
import { exampleReferences } from './problem-examples.ts';

/** Problems that any route may answer with, and those that its access level brings. */
const everywhere: readonly ProblemCode[] = ['malformed_request', 'validation_failed', 'uri_too_long', 'internal_error'];
const withBody: readonly ProblemCode[] = ['payload_too_large', 'unsupported_media_type'];
const withCookies: readonly ProblemCode[] = ['cross_origin_rejected'];
const forRole: readonly ProblemCode[] = ['forbidden'];
const limited: readonly ProblemCode[] = ['rate_limited'];
const withMailedToken: readonly ProblemCode[] = ['invalid_token', 'rate_limited'];
const withDatabase: readonly ProblemCode[] = ['service_unavailable'];
const byAccess: Readonly<Record<AccessLevel, readonly ProblemCode[]>> = {
  public: [],
  visitor: ['ambiguous_credentials', 'unconfirmed'],
  session: ['unauthenticated', 'ambiguous_credentials'],
  confirmed: ['unauthenticated', 'ambiguous_credentials', 'unconfirmed'],
};

/** Every problem that a route may answer with: what any may, what its declarations bring, and what it names. */
export function problemsOf({ config, method, schema }: Pick<RouteOptions, 'config' | 'method' | 'schema'>): ProblemCode[] {
  const { access = defaultAccess, limit, problems = [], role, takesMailedToken } = config ?? {};
  // Of a DELETE, too, the body is read, if there is one.
  const takesBody = schema?.body !== undefined || method === 'DELETE';
  // What only reads is let in from anywhere.
  const asksForOrigin = access !== 'public' && method !== 'GET';
  // For a session, or the account of a password or a token; a public route that asks it for anything else says so itself.
  const asksDatabase = access !== 'public' || limit !== undefined || takesMailedToken === true;
  const sets = [
    everywhere,
    ...(takesBody ? [withBody] : []),
    byAccess[access],
    ...(asksForOrigin ? [withCookies] : []),
    ...(role ? [forRole] : []),
    ...(limit ? [limited] : []),
    ...(takesMailedToken ? [withMailedToken] : []),
    ...(asksDatabase ? [withDatabase] : []),
    problems,
  ];
  return sets.flat();
}

/** What a browser is shown. */
export const pageContent = { 'text/html': { schema: text(1_000_000) } };

/** One response a status, listing the codes that it may carry, with an example of each. */
export function problemResponses(codes: readonly ProblemCode[], config: FastifyContextConfig): Record<string, unknown> {
  const responses: Record<string, unknown> = {};
  for (const status of new Set(codes.map((code) => catalogue[code].status))) {
    const named = [...new Set(codes)].filter((code) => catalogue[code].status === status);
    responses[status] = {
      ...headersOf(config, status),
      description: named.map((code) => `\`${code}\`: ${catalogue[code].title}.`).join(' '),
      content: {
        'application/problem+json': { schema: { $ref: 'Problem#' }, examples: exampleReferences(named) },
        ...(config.page && pageContent),
      },
    };
  }
  return responses;
}
