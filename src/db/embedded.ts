import { cpSync, existsSync } from 'node:fs';
import { readdir, rename, rm } from 'node:fs/promises';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { PGlite } from '@electric-sql/pglite';
import { drizzle } from 'drizzle-orm/pglite';
import { migrate } from 'drizzle-orm/pglite/migrator';
import type { Database } from './database.ts';
import { lockDirectory } from './directory-lock.ts';
import { migrationsFolder } from './migrations-folder.ts';
import * as schema from './schema.ts';

/** PostgreSQL's defaults are for a server: making its shared memory would take a third of the time that opening takes. */
const economical = ['-c', 'shared_buffers=16MB', '-c', 'max_connections=10'];

const distribution = fileURLToPath(new URL('../../dist', import.meta.url));

/**
 * Opens the embedded database (PGlite) in a directory, makes it if it is not there, and brings its schema up to date.
 *
 * Holds the directory's lock until it is closed: two processes on one directory would lose each other's rows.
 *
 * @param announce told before work that takes more than a second
 * @throws DirectoryLockedError when another process has it open
 */
export async function openEmbeddedDatabase(dataDir: string, announce: (what: string) => void): Promise<Database> {
  const unlock = await lockDirectory(dataDir);
  try {
    const directory = join(dataDir, 'database');
    if (!existsSync(directory)) await createDatabase(directory, announce);
    const engine = await PGlite.create(directory, { startParams: [...PGlite.defaultStartParams, ...economical] });
    const db = drizzle(engine, { schema });
    await migrate(db, { migrationsFolder });
    return {
      db,
      feedDb: db,
      poolUse: () => ({ size: 0, busy: 0, idle: 0, waiting: 0 }),
      async close() {
        await engine.close();
        await unlock();
      },
    };
  } catch (error) {
    await unlock();
    throw error;
  }
}

/** Makes it under another name first: a process that dies half-way leaves nothing that looks like a database. */
async function createDatabase(directory: string, announce: (what: string) => void): Promise<void> {
  const draft = `${directory}.new`;
  await rm(draft, { recursive: true, force: true });
  const prepared = await findPreparedDatabase();
  if (prepared !== undefined) {
    // Synchronously: nothing else is running yet, and it takes a third of the time.
    cpSync(prepared, draft, { recursive: true });
  } else {
    announce('Preparing the embedded database (once, some seconds)…');
    await (await PGlite.create(draft)).close();
  }
  await rename(draft, directory);
}

/** The empty database that the build makes, if there is one: copying it is a hundred times faster than making one. */
async function findPreparedDatabase(): Promise<string | undefined> {
  const entries = await readdir(distribution).catch(() => []);
  const name = entries.find((entry) => /^empty-database-[\d.]+$/.test(entry));
  return name === undefined ? undefined : join(distribution, name);
}
