/** Latchkey as a plugin for Fastify: see "Your own Fastify application" in README.md. */
export type { Clock } from './clock.ts';
export { ConfigError } from './config.ts';
export type { AccessLevel } from './guard/access.ts';
export { type LatchkeyOptions, latchkey } from './latchkey.ts';
export type { Problem, ProblemDocument } from './problems/problem.ts';
export { requireUser, type User } from './user.ts';
