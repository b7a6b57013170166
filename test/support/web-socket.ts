import { once } from 'node:events';
import type { Test } from 'tap';
import { type ClientOptions, WebSocket } from 'ws';

/** Opens a WebSocket, for as long as the test runs at most; rejects with the status of the refusal. */
export async function openSocket(
  t: Test,
  base: string,
  path: string,
  options: ClientOptions = {},
  protocols: string[] = [],
): Promise<WebSocket> {
  const socket = new WebSocket(base.replace('http', 'ws') + path, protocols, options);
  t.teardown(() => socket.terminate());
  await new Promise((resolve, reject) => {
    socket.once('open', resolve).once('error', reject);
    socket.once('unexpected-response', (_request, { statusCode }) => reject(new Error(`refused with ${statusCode}`)));
  });
  return socket;
}

/** Sends a message, and waits for the next one. */
export async function echo(socket: WebSocket, message: string | Buffer): Promise<{ data: Buffer; isBinary: boolean }> {
  const answer = once(socket, 'message');
  socket.send(message);
  const [data, isBinary] = await answer;
  return { data, isBinary };
}
