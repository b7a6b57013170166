import '@fastify/jwt';
import type { FastifyRequest } from 'fastify';

/** Whose a request is. */
export interface User {
  readonly id: string;
  readonly username: string;
  readonly email: string;
  readonly role: string;
  /** Whether the address is known to be theirs. */
  readonly confirmed: boolean;
}

// What @fastify/jwt calls the user of a request, it declares for all.
declare module '@fastify/jwt' {
  interface FastifyJWT {
    /** Null where a route asks for no session, and none was presented. */
    user: User | null;
  }
}

/**
 * The user of a request on a route whose access level guarantees one: `confirmed`, which is what routes have that say
 * nothing, or `session`.
 *
 * @throws Error when the level does not: a fault of the application's, never of the client
 */
export function requireUser({ user, routeOptions }: FastifyRequest): User {
  if (user === null) throw new Error(`${routeOptions.url} reads a user that its access level does not demand`);
  return user;
}
