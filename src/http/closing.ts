import type { Socket } from 'node:net';
import { setImmediate as turn } from 'node:timers/promises';
import type { FastifyInstance } from 'fastify';

/** How often connections are looked over while the service closes. */
const idleCheckMs = 50;
/** After how long a connection over which nothing has come is one that was opened ahead. */
const firstWordMs = 500;
/** How long what is under way may go on then: a client that sends or reads slowly keeps nobody waiting. */
const closeWithinMs = 10_000;
/**
 * After how many turns of the event loop without a new connection none waits to be accepted; libuv may take one a turn.
 * Turns and not time, of which a busy machine may let any amount go by without letting us look; and none is slept through.
 */
const silentTurns = 3;
/** For how long it is waited for that. */
const longestWaitMs = 1000;

declare module 'fastify' {
  interface FastifyInstance {
    /**
     * Says from now on that the service is about to end: it is not ready any longer, and each answer asks its client to
     * come back by another connection (RFC 9112 §9.6). It goes on answering.
     */
    announceEnd(): void;
    /** Whether that has been said. */
    readonly isEnding: boolean;
    /**
     * Resolves in a moment in which nobody waits to be let in, or after a second. A server that closes in that moment
     * resets no connection that was made in good faith: a proxy may not send a POST a second time.
     */
    awaitSilence(): Promise<void>;
  }
}

/** Knows for how long nobody has connected. */
export function listenForSilence(app: FastifyInstance): void {
  let silence = silentTurns;
  app.server.on('connection', () => {
    silence = 0;
  });
  app.decorate('awaitSilence', async () => {
    const end = performance.now() + longestWaitMs;
    while (silence < silentTurns && performance.now() < end) {
      await turn();
      silence += 1;
    }
  });
}

/** Lets clients, and whoever shares requests out among instances, turn away before the service closes. */
export function sayWhenEnding(app: FastifyInstance): void {
  let isEnding = false;
  app.decorate('isEnding', { getter: () => isEnding });
  app.decorate('announceEnd', () => {
    isEnding = true;
  });
  app.addHook('onRequest', (_request, reply, done) => {
    if (isEnding) reply.header('connection', 'close');
    done();
  });
}

/**
 * Node closes idle connections when it stops listening, but not those that become idle afterwards, nor those over which
 * nothing has ever been asked, as browsers open them ahead: nobody waits for these.
 */
export function letGoWhenClosing(app: FastifyInstance): void {
  /** When each was accepted. */
  const connections = new Map<Socket, number>();
  const timers: NodeJS.Timeout[] = [];
  app.server.on('connection', (socket) => {
    connections.set(socket, performance.now());
    socket.once('close', () => connections.delete(socket));
  });
  const letGo = () => {
    app.server.closeIdleConnections();
    const before = performance.now() - firstWordMs;
    for (const [socket, acceptedAt] of connections) if (socket.bytesRead === 0 && acceptedAt < before) socket.destroy();
  };
  const cut = () => {
    for (const socket of connections.keys()) socket.destroy();
  };
  app.addHook('preClose', async () => {
    timers.push(setInterval(letGo, idleCheckMs).unref(), setTimeout(cut, closeWithinMs).unref());
  });
  app.addHook('onClose', async () => timers.forEach(clearTimeout));
}
