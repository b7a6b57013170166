import type { FastifyRequest } from 'fastify';
import type { FoundSession } from '../guard/find-session.ts';
import type { Guard } from '../guard/plugin.ts';
import { Problem } from '../problems/problem.ts';

/** The session of a request; null where there is none, whatever is wrong with what it presents instead. */
export async function findSomeSession(guard: Guard, request: FastifyRequest): Promise<FoundSession | null> {
  try {
    return await guard.findSession(request);
  } catch (error) {
    if (error instanceof Problem && error.status < 500) return null;
    throw error;
  }
}
