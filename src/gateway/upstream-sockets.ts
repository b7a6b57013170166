import type { EventEmitter } from 'node:events';
import type { ClientRequest } from 'node:http';
import type { FastifyHttpProxyOptions } from '@fastify/http-proxy';
import type { FastifyBaseLogger, FastifyRequest } from 'fastify';
import { withoutHandshake } from './upstream-fields.ts';

/** What is used of a WebSocket. */
interface Ends {
  readonly readyState: number;
  readonly OPEN: number;
  close(): void;
}

/** Of one message. */
const maxMessageBytes = 16 * 1024 * 1024;

/** How WebSockets are passed on. */
export function webSocketOptions(
  log: FastifyBaseLogger,
  connectTimeoutMs: number,
  requestFields: (request: FastifyRequest) => Record<string, string | string[]>,
) {
  const clientOptions = {
    maxPayload: maxMessageBytes,
    handshakeTimeout: connectTimeoutMs,
    perMessageDeflate: false,
    finishRequest(handshake: ClientRequest, target: EventEmitter) {
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
    wsServerOptions: { maxPayload: maxMessageBytes },
    wsClientOptions: {
      ...clientOptions,
      rewriteRequestHeaders: (_headers: unknown, request: FastifyRequest) => withoutHandshake(requestFields(request)),
    } as NonNullable<FastifyHttpProxyOptions['wsClientOptions']>,
    wsHooks: {
      onConnect(_context: unknown, source: Ends, target: Ends) {
        // The proxy ends those only that are open when the client goes.
        if (source.readyState !== source.OPEN) target.close();
      },
    },
  };
}
