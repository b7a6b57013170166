import type { ServerResponse } from 'node:http';
import type { Socket } from 'node:net';
import type { FastifyInstance, FastifyReply, FastifyRequest } from 'fastify';
import type { RevocationFeed } from '../guard/revocation-feed.ts';

/** How often open answers are held against the sessions that have ended. */
const lookMs = 1000;

/**
 * Answers and WebSockets that are under way: each ends when the session does that opened it.
 *
 * @returns has an answer followed until it is complete
 */
export function followStreams(app: FastifyInstance, revocations: Pick<RevocationFeed, 'isRevoked'>) {
  // By request, of which several may wait for their turn on one connection; whose it is, some are asked only later.
  const open = new Map<FastifyRequest, { socket: Socket; answer: ServerResponse }>();
  const isRevoked = ({ session }: FastifyRequest) => session !== null && revocations.isRevoked(session.id);
  const look = () => {
    for (const [request, { socket, answer }] of open) {
      if (isRevoked(request)) socket.destroy();
      // Node tells only the answer whose turn it is that the connection is gone; the others would hold what they pass on.
      if (socket.destroyed) answer.emit('close');
    }
  };
  const timer = setInterval(look, lookMs).unref();
  app.addHook('onClose', async () => clearInterval(timer));

  return function follow(request: FastifyRequest, reply: FastifyReply): void {
    // A request may lose its socket before its answer does.
    open.set(request, { socket: request.socket, answer: reply.raw });
    reply.raw.once('close', () => open.delete(request));
  };
}
