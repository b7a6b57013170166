import type { FastifyRequest } from 'fastify';
import type { Origin } from '../identity/events.ts';
import { withoutPort } from './network.ts';

/** Where a request came from: its peer, or what a trusted proxy says of it. */
export function originOf(request: Pick<FastifyRequest, 'ip' | 'headers'>): Origin {
  return { ip: withoutPort(request.ip), userAgent: request.headers['user-agent'] };
}
