import type { FastifyRequest } from 'fastify';
import fp from 'fastify-plugin';
import { Problem } from '../problems/problem.ts';
import { type AccessLevel, defaultAccess } from './access.ts';
import type { FormTrust } from './cross-origin.ts';
import { createSessionFinder, type FoundSession, type SessionFinderOptions, type SessionRequest } from './find-session.ts';

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
  findSession(request: SessionRequest, trust?: FormTrust): FoundSession | null | Promise<FoundSession | null>;
}

/**
 * Decides about every request before anything else looks at it, by the access level that the matched route declares.
 *
 * A route that declares none is closed to all but confirmed users; an unknown one is not found by anybody, whatever is sent to it.
 */
export const guardPlugin = fp<SessionFinderOptions>(
  async (app, options) => {
    app.decorateRequest('session', null);
    const guard: Guard = { findSession: createSessionFinder(options) };
    app.decorate('guard', guard);

    app.addHook('onRequest', (request, _reply, done) => {
      // Before its body is read, which nobody would make sense of.
      if (request.is404) return done(new Problem('not_found'));
      admit(
        request,
        () => guard.findSession(request),
        (refusal, session) => {
          request.session = session;
          done(refusal);
        },
      );
    });
  },
  { name: 'guard', dependencies: ['http'] },
);

/**
 * Finds the session of a request, and tells whether its route is open to it.
 *
 * With a callback and not a promise: a confirmed user's request waits for nothing, not even for a turn of the loop.
 *
 * @param done told once: why the request may not go on, if it may not, and whose it is
 */
export function admit(
  { headers, routeOptions }: Pick<FastifyRequest, 'headers' | 'routeOptions'>,
  find: () => ReturnType<Guard['findSession']>,
  done: (refusal: Error | undefined, session: FoundSession | null) => void,
): void {
  const { access = defaultAccess, role } = routeOptions.config;
  if (access === 'public') {
    done(undefined, null);
    return;
  }
  const settle = (session: FoundSession | null) => done(refusalOf(session, { access, role, headers }), session);
  // Whatever was thrown, `undefined` included: to go on without an error is to let in.
  const fail = (cause: unknown) => done(cause instanceof Error ? cause : new Problem('internal_error', { cause }), null);
  try {
    const found = find();
    if (found instanceof Promise) found.then(settle).catch(fail);
    else settle(found);
  } catch (error) {
    fail(error);
  }
}

interface Demand extends Pick<FastifyRequest, 'headers'> {
  readonly access: AccessLevel;
  readonly role: string | undefined;
}

function refusalOf(session: FoundSession | null, { access, role, headers }: Demand): Problem | undefined {
  if (session === null) return access === 'visitor' ? undefined : unauthenticated({ headers });
  if (!session.confirmed && access !== 'session') return unconfirmed();
  return role !== undefined && session.role !== role ? new Problem('forbidden') : undefined;
}

/** RFC 6750 §3.1: a token that was sent, but does not do, is named as the reason. */
export function unauthenticated({ headers }: Pick<FastifyRequest, 'headers'>): Problem {
  const challenge = headers.authorization === undefined ? 'Bearer' : 'Bearer error="invalid_token"';
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
