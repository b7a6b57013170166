import { type Placeholder, sql } from 'drizzle-orm';
import type { Queryable } from './database.ts';

interface Preparable<Result> {
  prepare(name: string): { execute(values: Record<string, unknown>): Promise<Result> };
}

/** Sessions of which the server keeps the statements that have a name. */
const keepsStatements = new WeakSet<object>();

/**
 * Has the server parse and plan the prepared statements of a connection, or of all connections of a pool, once.
 *
 * Not for connections to a pooler: there the next transaction may come to another connection to the server, which has
 * never heard of the name.
 */
export function nameStatements(db: Queryable): void {
  keepsStatements.add(db._.session);
}

/**
 * A statement that is built once for each connection, and not each time: to build one takes longer than to run it.
 *
 * @param name of its own among all statements
 * @param values what is filled in, by name
 */
export function prepared<Name extends string, Result>(
  name: string,
  values: readonly Name[],
  build: (db: Queryable, placeholders: Readonly<Record<Name, Placeholder<Name>>>) => Preparable<Result>,
): (db: Queryable, values: Readonly<Record<Name, unknown>>) => Promise<Result> {
  const statements = new WeakMap<object, ReturnType<Preparable<Result>['prepare']>>();
  const placeholders = Object.fromEntries(values.map((each) => [each, sql.placeholder(each)])) as Record<Name, Placeholder<Name>>;

  return (db, filled) => {
    const { session } = db._;
    let statement = statements.get(session);
    if (statement === undefined) {
      // The driver takes an empty name for none.
      statement = build(db, placeholders).prepare(keepsStatements.has(session) ? name : '');
      statements.set(session, statement);
    }
    return statement.execute(filled);
  };
}
