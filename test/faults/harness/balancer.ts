import { once } from 'node:events';
import { type AddressInfo, connect, createServer, type Socket } from 'node:net';
import type { Lifetime } from '../../support/lifetime.ts';

/**
 * Shares out connections among those instances that listen, by turns. It sends nothing twice: a connection that breaks is
 * broken for its client, too.
 *
 * @returns its address
 */
export async function startBalancer(run: Lifetime, ports: readonly number[]): Promise<string> {
  const sockets = new Set<Socket>();
  let turn = 0;

  /** The first connection that is accepted, beginning with whose turn it is. */
  async function reachOne(): Promise<Socket | undefined> {
    turn += 1;
    const first = turn;
    for (let tried = 0; tried < ports.length; tried += 1) {
      const socket = connect(ports[(first + tried) % ports.length] as number, '127.0.0.1');
      const isOpen = await once(socket, 'connect').then(
        () => true,
        () => false,
      );
      if (isOpen) return socket;
    }
    return undefined;
  }

  const server = createServer({ pauseOnConnect: true }, async (client) => {
    client.on('error', () => {});
    const target = await reachOne();
    if (target === undefined) return void client.destroy();
    target.on('error', () => {});
    for (const [from, to] of [
      [client, target],
      [target, client],
    ] as const) {
      sockets.add(from);
      from.pipe(to);
      from.on('close', () => {
        sockets.delete(from);
        to.destroySoon();
      });
    }
    client.resume();
  });
  await once(server.listen(0, '127.0.0.1'), 'listening');
  run.teardown(() => {
    for (const socket of sockets) socket.destroy();
    server.close();
  });
  return `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
}
