import type { Socket } from 'node:net';
import type { FastifyInstance } from 'fastify';

/** How often connections are looked over while the service closes. */
const idleCheckMs = 50;

/**
 * Node closes idle connections when it stops listening, but not those that become idle afterwards, nor those over which
 * nothing has ever been asked, as browsers open them ahead: nobody waits for these.
 */
export function letGoWhenClosing(app: FastifyInstance): void {
  const connections = new Set<Socket>();
  let timer: NodeJS.Timeout | undefined;
  app.server.on('connection', (socket) => {
    connections.add(socket);
    socket.once('close', () => connections.delete(socket));
  });
  const letGo = () => {
    app.server.closeIdleConnections();
    for (const socket of connections) if (socket.bytesRead === 0) socket.destroy();
  };
  app.addHook('preClose', async () => {
    timer = setInterval(letGo, idleCheckMs).unref();
  });
  app.addHook('onClose', async () => clearInterval(timer));
}
