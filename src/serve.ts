import { setTimeout as pause } from 'node:timers/promises';
import closeWithGrace from 'close-with-grace';
import type { FastifyInstance } from 'fastify';
import { buildApp } from './app.ts';
import { systemClock } from './clock.ts';
import type { Config } from './config.ts';
import { isLoopbackHost } from './environment.ts';
import { logError } from './http/log-error.ts';
import { endings, listenToEndings } from './signals.ts';

/** How long requests under way, and mails being sent, may take to end. */
const closeWithinMs = 20_000;

/**
 * Runs the service until it is told to stop, and greets a developer with what to do next.
 *
 * SIGTERM, which is what supervisors send, makes it say first that it is about to end, and answer for as long as
 * whoever shares out requests may take to hear of it; SIGINT, which a person sends, does not. A second signal ends it at once.
 * One that comes while it starts is followed as soon as what has been opened can be closed.
 *
 * @param say where the greeting goes
 */
export async function serve(config: Config, say: (line: string) => void): Promise<void> {
  const delayMs = config.server.shutdownDelaySeconds * 1000;
  let app: FastifyInstance | undefined;
  let isEnding = false;
  const logger = logOf(() => app);

  async function start(): Promise<void> {
    app = await buildApp(config, { clock: systemClock, announce: say });
    if (isEnding) return;
    try {
      await app.listen({ host: config.server.host, port: config.server.port });
    } catch (error) {
      await app.close();
      throw error;
    }
  }

  const starting = start();
  let endedBy: NodeJS.Signals | undefined;
  // Not before an ordinary exit: that of a service which could not start would count as a success.
  const options = { delay: delayMs + closeWithinMs, logger, skip: ['beforeExit' as const, ...endings] };
  const ending = closeWithGrace(options, async ({ err, signal = endedBy }) => {
    isEnding = true;
    const failure = signal === undefined ? (err ?? new Error('nothing was thrown')) : undefined;
    if (failure !== undefined) logger.error(failure, 'the service stops because of an unexpected error');
    // What cannot start has closed everything by itself.
    await starting.catch(() => {});
    if (app) await close(app, signal === 'SIGTERM' ? delayMs : 0);
    // What is thrown may be nothing, which would be taken for a good end.
    if (failure !== undefined) process.exit(1);
  });
  listenToEndings((signal, isFirst) => {
    if (!isFirst || isEnding) endAtOnce(signal, logger);
    endedBy = signal;
    ending.close();
  });
  // Told to stop, it has no need to start any more.
  await starting.catch((error: unknown) => {
    if (!isEnding) throw error;
  });
  if (!isEnding) greet(config, say);
}

/** @param delayMs how long it answers on, and says that it is about to end */
async function close(app: FastifyInstance, delayMs: number): Promise<void> {
  if (delayMs > 0 && app.server.listening) {
    app.announceEnd();
    await pause(delayMs);
  }
  await app.close();
}

function endAtOnce(signal: string, logger: ReturnType<typeof logOf>): never {
  logger.error(`second ${signal}, exiting`);
  process.exit(1);
}

/** Where it is told how the service ends: its log, or standard error while it has none. The words of an error may quote anything. */
function logOf(find: () => FastifyInstance | undefined) {
  return {
    error(what: unknown, message = 'the service could not be closed') {
      const log = find()?.log;
      if (!(what instanceof Error)) (log ?? console).error(what);
      else if (log) log.error({ err: what }, message);
      else console.error(`${message}: ${logError(what).stack}`);
    },
  };
}

function greet({ production, server: { host, publicUrl }, mail }: Config, say: (line: string) => void): void {
  if (production) return;
  say(`Latchkey answers at ${publicUrl}`);
  say(`  try the API:    ${publicUrl}/docs`);
  if (mail.smtpUrl !== undefined) return;
  say(`  read its mails: ${publicUrl}/dev/mail`);
  if (!isLoopbackHost(host)) say('  Careful: everybody who reaches this address can read them. Set SMTP_URL to send them instead.');
}
