import type { Queryable } from '../../src/db/database.ts';

/**
 * Has whatever asks a database for rows, outside of transactions, fail before it is sent.
 *
 * @returns what undoes it
 */
export function spoilQueries(db: Queryable, fail: () => never): () => void {
  const { select } = db;
  const { session } = db._;
  const setSession = (property: PropertyDescriptor) => Object.defineProperty(db._, 'session', { configurable: true, ...property });
  db.select = fail;
  // Where prepared statements are looked up.
  setSession({ get: fail });
  return () => {
    db.select = select;
    setSession({ value: session });
  };
}
