import { AsyncLocalStorage } from 'node:async_hooks';
import type { Service } from './service.ts';

type Method = (...args: unknown[]) => unknown;

/** What one request has asked the database, until its answer was sent. */
export interface Exchange {
  readonly method: string;
  readonly url: string;
  readonly statements: readonly string[];
}

/**
 * Listens to every statement that the requests of a listening service bring about, before they are answered; what the
 * service does by itself, or later, belongs to none of them.
 */
export function recordStatements({ app }: Pick<Service, 'app'>): { readonly exchanges: readonly Exchange[] } {
  const exchanges: Exchange[] = [];
  const current = new AsyncLocalStorage<string[]>();

  // Under the library, where every statement passes; of a transaction only its beginning, which for a pool is a connection.
  const { $client: client } = app.services.db as unknown as { $client: Record<string, Method | undefined> };
  for (const name of ['query', 'exec', 'transaction', 'connect']) {
    const original = client[name]?.bind(client);
    if (original === undefined) continue;
    client[name] = (...args) => {
      current.getStore()?.push(textOf(name, args[0]));
      // What a pool asks itself for on the way is no second statement.
      return current.exit(() => original(...args));
    };
  }

  // Around the server's own listeners, so that all that a request brings about knows whose it is.
  const listeners = app.server.listeners('request');
  app.server.removeAllListeners('request');
  app.server.on('request', (request, reply) => {
    const statements: string[] = [];
    reply.on('finish', () => exchanges.push({ method: request.method ?? '', url: request.url ?? '', statements: [...statements] }));
    current.run(statements, () => {
      for (const listener of listeners) listener.call(app.server, request, reply);
    });
  });
  return { exchanges };
}

/** A statement without its parameters; what is no statement is called by its name. */
function textOf(name: string, argument: unknown): string {
  if (typeof argument === 'string') return argument;
  const { text } = Object(argument) as { text?: unknown };
  return typeof text === 'string' ? text : name;
}
