import type { FastifyRequest } from 'fastify';
import fp from 'fastify-plugin';
import { Problem } from '../problems/problem.ts';
import { type AccessLevel, defaultAccess } from './access.ts';
import type { FormTrust } from './cross-origin.ts';
import { createSessionFinder, type FoundSession, type SessionFinderOptions } from './find-session.ts';

declare module 'fastify' {
  interface FastifyRequest {
    /** The session that the guard let through; null where the route asks for none. See {@link requireSession}. */
    session: FoundSession | null;
  }
  interface FastifyInstance {
    guard: Guard;
  }
}

export interface Guard {
  /**
   * The live session that a request presents, on any route; null when it presents none. Does not judge whether it
   * suffices. Answers without waiting where nothing has to be looked up.
   *
   * @throws Problem `ambiguous_credentials` or `cross_origin_rejected`
   */
  findSession(request: FastifyRequest, trust?: FormTrust): FoundSession | null | Promise<FoundSession | null>;
}

/**
 * Decides about every request before anything else looks at it, by the access level that the matched route declares.
 *
 * A route that declares none is closed to all but confirmed users; an unknown one is not found by anybody, whatever is sent to it.
 */
export const guardPlugin = fp<SessionFinderOptions>(
  async (app, options) => {
    app.decorateRequest('session', null);
    const findSession = createSessionFinder(options);
    app.decorate('guard', { findSession });

    // With a callback and not async: a confirmed user's request waits for nothing, not even for a turn of the loop.
    app.addHook('onRequest', (request, _reply, done) => {
      const { access = defaultAccess } = request.routeOptions.config;
      // Before its body is read, which nobody would make sense of.
      if (request.is404) return done(new Problem('not_found'));
      if (access === 'public') return done();
      const settle = (found: FoundSession | null) => {
        request.session = found;
        done(refusal(access, request));
      };
      // Whatever was thrown, `undefined` included: to go on without an error is to let in.
      const fail = (cause: unknown) => done(cause instanceof Error ? cause : new Problem('internal_error', { cause }));
      try {
        const found = findSession(request);
        if (found instanceof Promise) found.then(settle).catch(fail);
        else settle(found);
      } catch (error) {
        fail(error);
      }
    });
  },
  { name: 'guard', dependencies: ['http'] },
);

function refusal(access: AccessLevel, request: FastifyRequest): Problem | undefined {
  const { session } = request;
  if (session === null) return access === 'visitor' ? undefined : unauthenticated(request);
  if (!session.confirmed && access !== 'session') return unconfirmed();
  const { role } = request.routeOptions.config;
  return role !== undefined && session.role !== role ? new Problem('forbidden') : undefined;
}

/** RFC 6750 §3.1: a token that was sent, but does not do, is named as the reason. */
export function unauthenticated(request: FastifyRequest): Problem {
  const challenge = request.headers.authorization === undefined ? 'Bearer' : 'Bearer error="invalid_token"';
  return new Problem('unauthenticated', { headers: { 'www-authenticate': challenge } });
}

export function unconfirmed(): Problem {
  return new Problem('unconfirmed', { extensions: { resend: { method: 'POST', href: '/auth/confirm/resend' } } });
}

/**
 * The session of a request on a route whose level guarantees one.
 *
 * @throws Error when the route's level does not: a fault of ours, never of the client
 */
export function requireSession(request: FastifyRequest): FoundSession {
  if (request.session === null) throw new Error(`${request.routeOptions.url} reads a session that its access level does not demand`);
  return request.session;
}
