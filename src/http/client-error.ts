import type { Server, ServerResponse } from 'node:http';
import type { Socket } from 'node:net';
import type { ConnectionError } from 'fastify';
import type { ProblemCode } from '../problems/catalogue.ts';
import { Problem } from '../problems/problem.ts';
import { maxUrlLength } from '../schemas.ts';

/** The latest answer of each connection that is open. */
const latestAnswers = new WeakMap<Socket, ServerResponse>();

/** Lets the handler below know what a server is answering. */
export function followAnswers(server: Server): void {
  server.on('request', ({ socket }, answer) => latestAnswers.set(socket, answer));
}

/**
 * Makes the handler for what the HTTP parser refuses before there is a request.
 *
 * The answer is a problem like every other. A connection that ran into a time-out, or that is gone, is only closed; so
 * is one with an answer under way, which a second one would run into, or be taken for (RFC 9112 §9.3.2).
 */
export function createClientErrorHandler(headers: Readonly<Record<string, string>>) {
  return function onClientError(error: ConnectionError, socket: Socket): void {
    if (!socket.writable || error.code === 'ECONNRESET' || error.code === 'ERR_HTTP_REQUEST_TIMEOUT') {
      socket.destroy();
      return;
    }
    if (wouldCollide(latestAnswers.get(socket))) {
      socket.destroySoon();
      return;
    }
    const problem = new Problem(codeOf(error));
    const body = JSON.stringify(problem);
    const fields = { ...headers, ...problem.headers, 'content-length': String(Buffer.byteLength(body)), connection: 'close' };
    const head = Object.entries(fields)
      .map(([name, value]) => `${name}: ${value}\r\n`)
      .join('');
    socket.end(`HTTP/1.1 ${problem.status} ${problem.message}\r\n${head}\r\n${body}`);
  };
}

/** What is wrong after the end of a request is no part of it; until then it is, and an answer that has begun is the one to it. */
function wouldCollide(answer: ServerResponse | undefined): boolean {
  if (answer === undefined) return false;
  return answer.req.complete ? !answer.writableFinished : answer.headersSent;
}

function codeOf({ code, rawPacket }: ConnectionError): ProblemCode {
  if (code !== 'HPE_HEADER_OVERFLOW') return 'malformed_request';
  // Declared as JSON of a buffer, but it is the buffer.
  const requestLine = Buffer.isBuffer(rawPacket) ? rawPacket.indexOf('\r\n') : 0;
  return requestLine === -1 || requestLine > maxUrlLength ? 'uri_too_long' : 'headers_too_large';
}
