import type { ProblemCode } from '../problems/catalogue.ts';

/**
 * Who may use a route.
 *
 * - `public`: everybody
 * - `visitor`: everybody but a session whose account is not confirmed
 * - `session`: every session
 * - `confirmed`: a session whose account is confirmed; what a route that says nothing has
 */
export type AccessLevel = 'public' | 'visitor' | 'session' | 'confirmed';

export const defaultAccess: AccessLevel = 'confirmed';

declare module 'fastify' {
  interface FastifyContextConfig {
    access?: AccessLevel;
    /** The role that a user must have, besides being confirmed. */
    role?: 'admin';
    /** Problems of this route's own, for the OpenAPI document; those that its access level brings are added there. */
    problems?: readonly ProblemCode[];
    /** Header fields of this route's own answers, by status, for the OpenAPI document; those that any route has are added there. */
    answerHeaders?: Readonly<Record<number, Readonly<Record<string, object>>>>;
    /** Whether browsers get a page instead of JSON, for the OpenAPI document. */
    page?: true;
  }
}
