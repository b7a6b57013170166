import { once } from 'node:events';
import { type AddressInfo, connect, createServer, type Socket } from 'node:net';
import { setTimeout as pause } from 'node:timers/promises';
import type { Lifetime } from './lifetime.ts';

/** A connection in the middle that can be broken in the ways in which networks break. */
export interface TcpProxy {
  readonly port: number;
  /** Lets nothing through any more, and tells nobody: not even that a connection has ended. */
  blackHole(): void;
  /** Lets everything through again, at once: what was held back, too. */
  restore(): void;
  /** Ends all connections at once, as a server does that is killed. */
  cut(): void;
  /** Lets everything through so much later, each way, in order. */
  delay(ms: number): void;
  /** How often something that was under way has met what is broken: a connection that was cut, what came late or was held back. */
  hits(): number;
  /** Stands before another port from now on; connections that there are stay. */
  redirect(port: number): void;
}

/** Stands before a port of loopback for as long as a test runs. */
export async function startProxy(t: Lifetime, firstTargetPort: number): Promise<TcpProxy> {
  const sockets = new Set<Socket>();
  /** Those that would know that the other side has ended, if anything got through. */
  const orphans = new Set<Socket>();
  let targetPort = firstTargetPort;
  let isOpen = true;
  let delayMs = 0;
  let hits = 0;

  /** Writes later what would not have arrived yet, and after what came before. */
  function deliverTo(to: Socket): (chunk: Buffer) => void {
    let waiting = 0;
    let last: Promise<unknown> = Promise.resolve();
    return (chunk) => {
      if (delayMs === 0 && waiting === 0) return void to.write(chunk);
      waiting += 1;
      if (delayMs > 0) hits += 1;
      const arrival = pause(delayMs);
      last = last.then(async () => {
        await arrival;
        waiting -= 1;
        if (!to.destroyed) to.write(chunk);
      });
    };
  }

  const server = createServer((client) => {
    if (!isOpen) hits += 1;
    const target = connect(targetPort, '127.0.0.1');
    const pairs = [
      [client, target],
      [target, client],
    ] as const;
    for (const [from, to] of pairs) {
      sockets.add(from);
      if (!isOpen) from.pause();
      from.on('data', deliverTo(to));
      from.on('error', () => {});
      from.on('close', () => {
        sockets.delete(from);
        if (isOpen) to.destroy();
        else orphans.add(to);
      });
    }
  });
  await once(server.listen(0, '127.0.0.1'), 'listening');
  const cut = () => {
    hits += sockets.size;
    for (const socket of sockets) socket.destroy();
  };
  t.teardown(() => {
    isOpen = true;
    cut();
    server.close();
  });
  return {
    port: (server.address() as AddressInfo).port,
    blackHole() {
      isOpen = false;
      for (const socket of sockets) socket.pause();
    },
    restore() {
      isOpen = true;
      delayMs = 0;
      for (const socket of sockets) {
        if (socket.readableLength > 0) hits += 1;
        socket.resume();
      }
      for (const orphan of orphans) orphan.destroy();
      orphans.clear();
    },
    cut,
    hits: () => hits,
    delay(ms) {
      delayMs = ms;
    },
    redirect(port) {
      targetPort = port;
    },
  };
}
