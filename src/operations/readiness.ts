import { findAppliedMigration, readNewestMigration } from '../db/schema-version.ts';
import { isDatabaseUnavailable } from '../db/unavailable.ts';
import type { Services } from '../services.ts';

/** What requests cannot be served without. */
export type Need = 'database' | 'migrations' | 'signing_key';

export interface Readiness {
  /** What is missing; nothing when the service is ready. */
  readonly down: readonly Need[];
  readonly cause: unknown;
}

/** For how long an answer holds, however many ask. */
const holdsMs = 1000;

/** Creates the function that tells what is missing. It asks the database at most once a second, with one query. */
export async function createReadinessCheck({ db, keyRing }: Pick<Services, 'db' | 'keyRing'>): Promise<() => Promise<Readiness>> {
  const newest = await readNewestMigration();
  let latest: Promise<Readiness> | undefined;
  let isLooking = false;
  let lookedAt = 0;

  async function look(): Promise<Readiness> {
    const down: Need[] = keyRing.published().length === 0 ? ['signing_key'] : [];
    try {
      // One that a newer version has migrated is expected to serve this one, too.
      return { down: (await findAppliedMigration(db)) < newest ? ['migrations', ...down] : down, cause: undefined };
    } catch (cause) {
      return { down: [isDatabaseUnavailable(cause) ? 'database' : 'migrations', ...down], cause };
    }
  }

  return () => {
    if (latest === undefined || (!isLooking && performance.now() - lookedAt > holdsMs)) {
      isLooking = true;
      latest = look().finally(() => {
        isLooking = false;
        lookedAt = performance.now();
      });
    }
    return latest;
  };
}
