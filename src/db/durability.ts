import { sql } from 'drizzle-orm';
import type { Queryable } from './database.ts';

/** Settings of a server without which it says that something is kept before it is (PostgreSQL's manual, 20.5.1). */
export const durabilitySettings = ['fsync', 'full_page_writes', 'synchronous_commit'] as const;

/** Which of them are off for this role in this database: a crash of the server may then undo what somebody was told is done. */
export async function findSettingsThatLose(db: Queryable): Promise<string[]> {
  const question = sql`select name from pg_settings where name in ${durabilitySettings} and setting = 'off' order by name`;
  const { rows } = (await db.execute(question)) as unknown as { rows: { name: string }[] };
  return rows.map(({ name }) => name);
}
