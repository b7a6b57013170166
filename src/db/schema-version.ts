import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { sql } from 'drizzle-orm';
import type { Queryable } from './database.ts';
import { migrationsFolder } from './migrations-folder.ts';

/** Which schema this program was made for: when its newest migration was, in milliseconds since 1970. */
export async function readNewestMigration(): Promise<number> {
  const journal = JSON.parse(await readFile(join(migrationsFolder, 'meta', '_journal.json'), 'utf8')) as { entries: { when: number }[] };
  return Math.max(...journal.entries.map(({ when }) => when));
}

/** Which schema the database has: the same of the newest migration that it has had; 0 when it has had none. */
export async function findAppliedMigration(db: Queryable): Promise<number> {
  const found = (await db.execute(sql`select max(created_at) as newest from drizzle.__drizzle_migrations`)) as {
    rows: { newest: unknown }[];
  };
  return Number(found.rows[0]?.newest ?? 0);
}
