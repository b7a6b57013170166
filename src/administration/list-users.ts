import { and, asc, gt, ilike, or } from 'drizzle-orm';
import type { Queryable } from '../db/database.ts';
import { users } from '../db/schema.ts';
import type { UserRow } from '../identity/users.ts';

interface UserQuery {
  /** Part of an address or a name, in any case. */
  readonly q?: string | undefined;
  readonly limit: number;
  /** The id of the last user of the page before. */
  readonly after?: string | undefined;
}

/** Users in the order in which they registered. */
export async function listUsers(db: Queryable, { q, limit, after }: UserQuery): Promise<UserRow[]> {
  const part = q === undefined ? undefined : `%${q.replace(/[\\%_]/g, '\\$&')}%`;
  const matches = part === undefined ? undefined : or(ilike(users.email, part), ilike(users.username, part));
  const beyond = after === undefined ? undefined : gt(users.id, after);
  return db.select().from(users).where(and(matches, beyond)).orderBy(asc(users.id)).limit(limit);
}
