import { fileURLToPath } from 'node:url';

/** Where the migrations are, from the sources and from what is built of them alike. */
export const migrationsFolder = fileURLToPath(new URL('../../migrations', import.meta.url));
