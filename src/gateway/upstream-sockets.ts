import type { EventEmitter } from 'node:events';
import type { ClientRequest } from 'node:http';
import type { FastifyHttpProxyOptions } from '@fastify/http-proxy';
import type { FastifyBaseLogger, FastifyRequest } from 'fastify';
import { keepPace, type PacedSocket } from './socket-pace.ts';
import { withoutHandshake } from './upstream-fields.ts';

/** Of one message. */
const maxMessageBytes = 16 * 1024 * 1024;

/** How WebSockets are passed on. */
export function webSocketOptions(
  log: FastifyBaseLogger,
  connectTimeoutMs: number,
  requestFields: (request: FastifyRequest) => Record<string, string | string[]>,
) {
  const clientOptions = {
    autoPong: false,
    maxPayload: maxMessageBytes,
    handshakeTimeout: connectTimeoutMs,
    perMessageDeflate: false,
    finishRequest(handshake: ClientRequest, target: EventEmitter & { terminate(): void }) {
      // An answer that is no handshake: the proxy tells the client, and leaves this end as it is.
      target.once('unexpected-response', () => target.terminate());
      // The proxy tells the client an error in its own words, which may be secret, and longer than the protocol lets it.
      target.on('error', (error: Error) => {
        log.warn({ err: new Error(error.message, { cause: error }) }, 'a WebSocket to the application has failed');
        error.message = 'bad gateway';
      });
      handshake.end();
    },
  };
  return {
    websocket: true as const,
    // Pings and the answers to them are passed on: whoever is at the other end answers.
    wsServerOptions: { autoPong: false, maxPayload: maxMessageBytes },
    wsClientOptions: {
      ...clientOptions,
      rewriteRequestHeaders(_headers: unknown, request: FastifyRequest) {
        // The proxy keeps what a client sends before the application has answered the handshake, however much that is.
        request.raw.socket.pause();
        return withoutHandshake(requestFields(request));
      },
    } as NonNullable<FastifyHttpProxyOptions['wsClientOptions']>,
    wsHooks: {
      onConnect(_context: unknown, source: PacedSocket, target: PacedSocket) {
        keepPace(source, target);
        source.resume();
        // The proxy ends those only that are open when the client goes.
        if (source.readyState !== source.OPEN) target.close();
      },
      onDisconnect(_context: unknown, source: PacedSocket) {
        // After a handshake that has failed: the client's answer to the close frame is yet to be read.
        source.resume();
      },
    },
  };
}
