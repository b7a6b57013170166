import type { Lifetime } from '../../test/support/lifetime.ts';
import { cores } from './row.ts';
import type { Subject } from './rows.ts';
import { startService } from './servers.ts';
import { createWorld } from './world.ts';

/** What the service is configured with, as it is by default but for what it has to be told. */
export const byDefault = { AUTH_SECRET: 'q9Xv2LmB7cTz4RkW8sYd1NfH6gJp3KaE', PUBLIC_URL: 'http://127.0.0.1' };

/** Without the log and the limits, which are measured apart. */
export const quiet = { LOG_LEVEL: 'warn', RATE_LIMIT: 'off' };

interface SubjectOptions {
  /** Of an empty database. */
  readonly databaseUrl: string;
  readonly smtpUrl: string;
  readonly people: number;
  readonly unconfirmed: number;
}

/** Fills a database with people, and starts a service on it. */
export async function startSubject(run: Lifetime, { databaseUrl, smtpUrl, people, unconfirmed }: SubjectOptions): Promise<Subject> {
  const env = { ...byDefault, ...quiet, DATABASE_URL: databaseUrl, SMTP_URL: smtpUrl };
  const world = await createWorld({ url: databaseUrl, env, people, unconfirmed });
  run.teardown(world.close);
  return { world, people, service: await startService(run, cores.server, env) };
}
