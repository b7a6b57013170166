import type { Test } from 'tap';
import { buildApp } from '../../src/app.ts';
import { loadConfig } from '../../src/config.ts';
import { type Client, createClient } from './client.ts';
import { ManualClock } from './clock.ts';
import { createDatabase } from './database.ts';
import { leaksOf, secretsOf } from './log-canary.ts';
import { type MailServer, startMailServer } from './mail-server.ts';

/** A whole service with a mail server beside it, a clock to move, and all that it logged. */
export interface Service extends Client {
  readonly app: Awaited<ReturnType<typeof buildApp>>;
  readonly clock: ManualClock;
  readonly mailServer: MailServer;
  readonly env: Readonly<Record<string, string>>;
  readonly log: readonly string[];
  /** Listens on a free port of loopback and answers its address. */
  listen(): Promise<string>;
}

/** The weakest hash that argon2 can make: tests are about who gets in, not about how long it takes. */
const cheapHashing = { ARGON2_MEMORY_KIB: '8', ARGON2_PASSES: '1' };

/**
 * Builds a service as the entry does, for as long as the test runs.
 *
 * @param overrides variables of the environment; one that is empty counts as absent, such as SMTP_URL for the mailbox
 */
export async function startService(t: Test, overrides: Readonly<Record<string, string>> = {}): Promise<Service> {
  const [database, mailServer] = await Promise.all([createDatabase(t), startMailServer(t)]);
  const env = { SMTP_URL: mailServer.url, LOG_LEVEL: 'info', ...cheapHashing, ...database, ...overrides };
  return { ...(await startInstance(t, env)), mailServer, env };
}

/** Another instance on the same environment. When the test is over, its log must have kept every secret. */
export async function startInstance(t: Test, env: Readonly<Record<string, string>>, clock = new ManualClock()) {
  const log: string[] = [];
  const app = await buildApp(loadConfig(env), { clock, log: { write: (line) => log.push(line) } });
  const secrets = new Set(secretsOf(env));
  t.teardown(async () => {
    await app.close();
    const leaks = leaksOf(log, [...secrets, ...app.services.secrets]);
    if (leaks.length > 0) t.threw(new Error(leaks.join('')));
  });
  return {
    app,
    clock,
    log,
    ...createClient(app, (password) => void secrets.add(password)),
    listen: () => app.listen({ host: '127.0.0.1', port: 0 }),
  };
}
