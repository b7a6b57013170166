import { createHash } from 'node:crypto';
import { once } from 'node:events';
import { createServer, type IncomingHttpHeaders, type IncomingMessage, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import type { Test } from 'tap';
import { type WebSocket, WebSocketServer } from 'ws';
import { createForeignClient } from './http.ts';
import { startService } from './service.ts';

/** What the application was sent: a request, or the handshake of a WebSocket. */
export interface PassedOn {
  readonly method: string;
  readonly url: string;
  readonly headers: IncomingHttpHeaders;
  readonly bodyBytes: number;
  readonly bodyDigest: string;
}

/** What the application does at some paths instead of answering with what it was sent. */
type Behaviour = (request: IncomingMessage, response: ServerResponse) => void;

/** An application that knows nothing of accounts: it answers with what it was sent, and keeps it; WebSockets get their messages back. */
export async function startUpstream(t: Test, behaviours: Readonly<Record<string, Behaviour>> = {}) {
  const passed: PassedOn[] = [];
  const sockets: WebSocket[] = [];
  const server = createServer(async (request, response) => {
    const behaviour = behaviours[new URL(request.url ?? '', 'http://localhost').pathname];
    if (behaviour) return behaviour(request, response);
    const hash = createHash('sha256');
    let bodyBytes = 0;
    for await (const chunk of request) {
      bodyBytes += chunk.length;
      hash.update(chunk);
    }
    const { method = '', url = '', headers } = request;
    const seen = { method, url, headers, bodyBytes, bodyDigest: hash.digest('hex') };
    passed.push(seen);
    response.setHeader('content-type', 'application/json').end(JSON.stringify(seen));
  });
  new WebSocketServer({ server }).on('connection', (socket, { url = '', headers }) => {
    sockets.push(socket);
    passed.push({ method: 'GET', url, headers, bodyBytes: 0, bodyDigest: '' });
    socket.on('message', (data, binary) => socket.send(data, { binary }));
  });
  await once(server.listen(0, '127.0.0.1'), 'listening');
  const stop = () => {
    for (const socket of sockets) socket.terminate();
    server.closeAllConnections();
    server.close();
  };
  t.teardown(stop);
  return { base: `http://127.0.0.1:${(server.address() as AddressInfo).port}`, passed, sockets, stop };
}

/** A service in front of such an application, talked to over real connections. */
export async function startGateway(
  t: Test,
  overrides: Readonly<Record<string, string>> = {},
  behaviours: Readonly<Record<string, Behaviour>> = {},
) {
  const upstream = await startUpstream(t, behaviours);
  const service = await startService(t, { RATE_LIMIT: 'off', SESSION_PROTECTION: 'none', UPSTREAM_URL: upstream.base, ...overrides });
  const base = await service.listen();
  return { service: { ...service, ...createForeignClient(base) }, base, upstream };
}
