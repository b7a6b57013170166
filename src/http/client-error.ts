import type { Socket } from 'node:net';
import type { ConnectionError } from 'fastify';
import type { ProblemCode } from '../problems/catalogue.ts';
import { Problem } from '../problems/problem.ts';

/** Longer request targets are refused; the longest of our own, a mailed link, has some 500 characters. */
export const maxUrlLength = 4096;

/**
 * Makes the handler for what the HTTP parser refuses before there is a request.
 *
 * The answer is a problem like every other. A connection that ran into a time-out, or that is gone, is only closed.
 */
export function createClientErrorHandler(headers: Readonly<Record<string, string>>) {
  return function onClientError(error: ConnectionError, socket: Socket): void {
    if (!socket.writable || error.code === 'ECONNRESET' || error.code === 'ERR_HTTP_REQUEST_TIMEOUT') {
      socket.destroy();
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

function codeOf({ code, rawPacket }: ConnectionError): ProblemCode {
  if (code !== 'HPE_HEADER_OVERFLOW') return 'malformed_request';
  // Declared as JSON of a buffer, but it is the buffer.
  const requestLine = Buffer.isBuffer(rawPacket) ? rawPacket.indexOf('\r\n') : 0;
  return requestLine === -1 || requestLine > maxUrlLength ? 'uri_too_long' : 'headers_too_large';
}
