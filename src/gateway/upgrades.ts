import { type IncomingMessage, ServerResponse } from 'node:http';
import type { Duplex } from 'node:stream';
import type { FastifyInstance } from 'fastify';

type UpgradeListener = (request: IncomingMessage, socket: Duplex, head: Buffer) => void;

/** Whether a request asks for its connection to become a WebSocket (RFC 6455 §4.1). */
export function asksForWebSocket({ headers }: Pick<IncomingMessage, 'headers'>): boolean {
  return headers.upgrade?.toLowerCase() === 'websocket';
}

/**
 * Answers a request that asks for another protocol than WebSocket as if it did not ask, as a server may that does not
 * know that protocol (RFC 9110 §7.8); the proxy, which has the requests of all upgrades, would take it for a broken handshake.
 *
 * Node has not read the body of such a request, and never will: one with a body gets its refusal from the routes.
 */
export function routePlainUpgrades(app: FastifyInstance): void {
  const listeners = app.server.listeners('upgrade') as UpgradeListener[];
  app.server.removeAllListeners('upgrade');
  app.server.on('upgrade', (request: IncomingMessage, socket: Duplex, head: Buffer) => {
    // The connection is no longer the server's to watch over; an error that nobody listens to would end the process.
    socket.on('error', () => socket.destroy());
    try {
      if (!asksForWebSocket(request)) answerPlainly(app, request, socket);
      else for (const listener of listeners) listener.call(app.server, request, socket, head);
    } catch (err) {
      // The answer to an earlier request is under way, which another protocol must not run into (RFC 9110 §7.8).
      app.log.warn({ err }, 'a request for another protocol was given up');
      socket.destroy();
    }
  });
}

function answerPlainly(app: FastifyInstance, request: IncomingMessage, socket: Duplex): void {
  const response = new ServerResponse(request);
  response.shouldKeepAlive = false;
  // Declared as a stream of whatever kind, but it is the socket.
  response.assignSocket(socket as Parameters<ServerResponse['assignSocket']>[0]);
  response.once('finish', () => socket.end());
  app.routing(request, response);
}
