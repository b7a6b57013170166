import type { Database } from './database.ts';
import { findSettingsThatLose } from './durability.ts';

interface OpenOptions {
  /** A `postgres://` URL; none means the embedded database. */
  readonly url: string | undefined;
  readonly dataDir: string;
  readonly announce: (what: string) => void;
  /** Connections to a server at most. */
  readonly poolSize?: number;
  readonly onIdleError: (error: Error) => void;
  /** Told of settings of a server that make it forget, after a crash, what it has acknowledged. */
  readonly onRisk?: (settings: readonly string[]) => void;
}

/** Opens the database that is configured, of whichever engine, with its schema up to date. */
export async function openDatabase({ url, dataDir, poolSize, announce, onIdleError, onRisk = () => {} }: OpenOptions): Promise<Database> {
  // The engine that is not used is not loaded, either: that is felt at every start.
  if (url === undefined) return (await import('./embedded.ts')).openEmbeddedDatabase(dataDir, announce);
  const [{ openPool, traitsOf }, { migrateServerDatabase }] = await Promise.all([import('./client.ts'), import('./migrate-server.ts')]);
  await migrateServerDatabase(url);
  const traits = await traitsOf(url);
  const database = openPool({ url, onIdleError, traits, ...(poolSize !== undefined && { size: poolSize }) });
  try {
    const settings = await findSettingsThatLose(database.db);
    if (settings.length > 0) onRisk(settings);
  } catch (error) {
    await database.close();
    throw error;
  }
  return database;
}
