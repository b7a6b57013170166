import { cp, mkdtemp, readFile, rm, symlink, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import type { Test } from 'tap';

const root = fileURLToPath(new URL('../..', import.meta.url));
const tag = 'of_the_next_version';
/** Adds, in the ways in which a migration may: what the version before does not know of, it need not give. */
const migration = `alter table users add nickname text;
--> statement-breakpoint
alter table sessions add opened_by text not null default 'this version';
--> statement-breakpoint
create table visits (user_id uuid not null references users on delete cascade, at timestamptz not null);
--> statement-breakpoint
create index visits_user_id_idx on visits (user_id);
`;

/**
 * Makes a version of the service that comes after this one: a copy of it whose schema goes further, and which says of each
 * session that it has opened it (`opened_by`).
 *
 * @returns the directory it is in, for as long as the test lasts
 */
export async function createNextVersion(t: Test): Promise<string> {
  const directory = await mkdtemp(join(tmpdir(), 'latchkey-next-'));
  t.teardown(() => rm(directory, { recursive: true, force: true }));
  for (const part of ['src', 'migrations', 'scripts', 'package.json']) {
    await cp(join(root, part), join(directory, part), { recursive: true });
  }
  await symlink(join(root, 'node_modules'), join(directory, 'node_modules'));
  await change(join(directory, 'migrations/meta/_journal.json'), (text) => {
    const journal = JSON.parse(text) as { entries: { idx: number; when: number }[] };
    const last = journal.entries.at(-1) as (typeof journal.entries)[number];
    journal.entries.push({ ...last, ...{ idx: last.idx + 1, when: last.when + 1000, tag } });
    return JSON.stringify(journal);
  });
  await writeFile(join(directory, 'migrations', `${tag}.sql`), migration);
  await change(join(directory, 'src/db/schema.ts'), (text) =>
    [
      ["locale: text('locale'),", "nickname: text('nickname'),"],
      ["client: text('client').notNull(),", "openedBy: text('opened_by').notNull().$defaultFn(() => 'the next version'),"],
    ].reduce((changed, [before = '', added = '']) => {
      if (!changed.includes(before)) throw new Error(`there is no \`${before}\` in the schema`);
      return changed.replace(before, `${before}\n    ${added}`);
    }, text),
  );
  return directory;
}

async function change(file: string, how: (text: string) => string): Promise<void> {
  await writeFile(file, how(await readFile(file, 'utf8')));
}
