import { AsyncLocalStorage } from 'node:async_hooks';
import type { Queryable } from '../../src/db/database.ts';

type Call = (...args: unknown[]) => unknown;

/**
 * Tells the SQL statements that a piece of work brings about, whatever goes on beside it.
 *
 * Under the library, where every statement passes: on a server the statements of a transaction count one by one, in
 * the embedded engine a transaction counts as one. The work has to be in this process all the way: a request by `inject`.
 */
export function watchStatements(db: Queryable) {
  const statements = new AsyncLocalStorage<string[]>();
  const { $client: client } = db as unknown as { $client: Record<string, Call> };
  const note = (statement: unknown) => {
    const text = typeof statement === 'object' && statement !== null && 'text' in statement ? statement.text : statement;
    statements.getStore()?.push(typeof text === 'string' ? text : 'transaction');
  };
  const watch = (target: Record<string, Call>, name: string) => {
    const original = (target[name] as Call).bind(target);
    target[name] = (...args) => {
      note(args[0]);
      return original(...args);
    };
  };

  watch(client, 'query');
  if (client['transaction'] !== undefined) watch(client, 'transaction');
  else watchConnections(client, (connection) => watch(connection, 'query'));

  return async function statementsOf<Result>(work: () => Promise<Result>): Promise<{ result: Result; statements: string[] }> {
    const own: string[] = [];
    const result = await statements.run(own, work);
    // What is brought about later, such as the record of what happened, is not waited for by anybody.
    return { result, statements: [...own] };
  };
}

/**
 * A transaction takes a connection of the pool to itself, and is watched until it gives it back: whatever else the pool
 * is asked for, it asks the same connections for by itself, by a callback.
 */
function watchConnections(pool: Record<string, Call>, watch: (connection: Record<string, Call>) => void): void {
  const connect = (pool['connect'] as Call).bind(pool);
  pool['connect'] = async (...args) => {
    if (args.length > 0) return connect(...args);
    const connection = (await connect()) as Record<string, Call>;
    const release = connection['release'] as Call;
    watch(connection);
    connection['release'] = (...reasons) => {
      // What is left is the method of its class.
      delete connection['query'];
      return release(...reasons);
    };
    return connection;
  };
}
