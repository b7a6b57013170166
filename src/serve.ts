import closeWithGrace from 'close-with-grace';
import { buildApp } from './app.ts';
import { systemClock } from './clock.ts';
import type { Config } from './config.ts';
import { isLoopbackHost } from './environment.ts';

/** How long requests under way, and mails being sent, may take to end after SIGTERM. */
const closeWithinMs = 20_000;

/**
 * Runs the service until it is told to stop, and greets a developer with what to do next.
 *
 * @param say where the greeting goes
 */
export async function serve(config: Config, say: (line: string) => void): Promise<void> {
  const app = await buildApp(config, { clock: systemClock, announce: say });
  // Not before an ordinary exit: that of a service which could not listen would count as a success.
  closeWithGrace({ delay: closeWithinMs, logger: app.log, skip: ['beforeExit'] }, async ({ err }) => {
    if (err) app.log.error({ err }, 'the service stops because of an unexpected error');
    await app.close();
  });
  const { host, port, publicUrl } = config.server;
  try {
    await app.listen({ host, port });
  } catch (error) {
    await app.close();
    throw error;
  }
  if (config.production) return;
  say(`Latchkey answers at ${publicUrl}`);
  say(`  try the API:    ${publicUrl}/docs`);
  if (config.mail.smtpUrl !== undefined) return;
  say(`  read its mails: ${publicUrl}/dev/mail`);
  if (!isLoopbackHost(host)) say('  Careful: everybody who reaches this address can read them. Set SMTP_URL to send them instead.');
}
