import fastifyCookie from '@fastify/cookie';
import type { TypeBoxTypeProvider } from '@fastify/type-provider-typebox';
import { type FastifyInstance, fastify } from 'fastify';
import { accountRoutes } from './account/routes.ts';
import { administrationRoutes } from './administration/routes.ts';
import type { Clock } from './clock.ts';
import type { Config } from './config.ts';
import { confirmationRoutes } from './confirmation/routes.ts';
import { createServices } from './create-services.ts';
import { loadGeneratedSecret, openDataDirectory } from './data-directory.ts';
import { openDatabase } from './db/open.ts';
import { emailChangeRoutes } from './email-change/routes.ts';
import type { Failpoints } from './failpoints.ts';
import { gatewayRoutes } from './gateway/routes.ts';
import { sessionCookies } from './guard/cookies.ts';
import { guardPlugin } from './guard/plugin.ts';
import { corsPlugin } from './http/cors.ts';
import { httpPlugin } from './http/plugin.ts';
import { securityHeaders } from './http/security-headers.ts';
import { serverOptions } from './http/server-options.ts';
import { requestLimitPlugin } from './limits/request-limits.ts';
import { tokenGuessesPlugin } from './limits/token-guesses.ts';
import { mailboxRoutes } from './mailbox/routes.ts';
import { docsPlugin } from './operations/docs.ts';
import { healthRoutes } from './operations/health-routes.ts';
import { metricsPlugin } from './operations/metrics.ts';
import { openapiPlugin } from './operations/openapi.ts';
import { pageAssets } from './pages/routes.ts';
import { passwordRoutes } from './passwords/routes.ts';
import { problemRoutes } from './problems/routes.ts';
import { registrationRoutes } from './registration/routes.ts';
import type { Services } from './services.ts';
import { jwksRoutes } from './sessions/jwks-routes.ts';
import { sessionRoutes } from './sessions/routes.ts';
import { welcomeRoutes } from './welcome/routes.ts';

export interface AppOptions {
  readonly clock: Clock;
  /** Told before start-up work that takes more than a second. */
  readonly announce?: (what: string) => void;
  readonly failpoints?: Failpoints;
  /** Whether it sends mails, purges, and so on, besides answering requests; true by default. */
  readonly worksInBackground?: boolean;
  /** Where log lines go; standard output by default. */
  readonly log?: { write(line: string): void };
}

declare module 'fastify' {
  interface FastifyInstance {
    services: Services;
  }
}

/**
 * Builds the whole service, ready to listen or to be injected into; every process that needs it comes through here.
 *
 * Opens and migrates the database, loads the keys and starts the mail worker. Closing the app gives all of it back.
 *
 * @throws DirectoryLockedError when another process uses the data directory of the embedded database
 * @throws MailTemplateError or PageTemplateError when a template of the operator's does not work
 */
export async function buildApp(config: Config, { clock, announce = () => {}, failpoints, worksInBackground = true, log }: AppOptions) {
  const headers = securityHeaders(config.server.publicUrl);
  const app = fastify(serverOptions(config.server, headers, log)).withTypeProvider<TypeBoxTypeProvider>();
  const needsDirectory = config.databaseUrl === undefined || config.mail.smtpUrl === undefined || config.authSecrets.length === 0;
  if (needsDirectory) await openDataDirectory(config.dataDir);

  const opening = openDatabase({
    url: config.databaseUrl,
    dataDir: config.dataDir,
    announce,
    onIdleError: (err) => app.log.warn({ err }, 'an idle database connection was lost'),
  });
  // First registered, last run: everything that uses the database has stopped by then.
  app.addHook('onClose', async () => (await opening.catch(() => undefined))?.close());
  try {
    // While the database opens, which takes longest.
    await prepareWire(app, config, headers);
    const database = await opening;
    const secrets = config.authSecrets.length > 0 ? config.authSecrets : [await loadGeneratedSecret(config.dataDir)];
    const { db, feedDb } = database;
    const services = await createServices(app, { config, clock, db, feedDb, secrets, failpoints, worksInBackground });
    app.decorate('services', services);
    await assemble(app, services);
    await app.ready();
  } catch (error) {
    await app.close();
    throw error;
  }
  return app;
}

/** Everything between a connection and a route that needs no database. */
async function prepareWire(app: FastifyInstance, config: Config, headers: Readonly<Record<string, string>>): Promise<void> {
  const { corsOrigins } = config.sessions;
  const { publicUrl } = config.server;
  await app.register(httpPlugin, { headers });
  // Ours reads the cookies itself, since a library would take one of two with the same name.
  await app.register(fastifyCookie, { hook: false });
  await app.register(corsPlugin, { origins: corsOrigins });
  await app.register(openapiPlugin, { publicUrl, accessCookie: sessionCookies(publicUrl).access });
}

async function assemble(app: FastifyInstance, services: Services): Promise<void> {
  const { config, mailbox } = services;
  const { protection } = config.sessions;
  await app.register(guardPlugin, { ...services, protection, accessCookie: services.sessionCookies.access });
  await app.register(requestLimitPlugin, services.limits);
  await app.register(tokenGuessesPlugin, services.limits);
  app.register(metricsPlugin, services);
  app.register(problemRoutes);
  app.register(healthRoutes, services);
  app.register(docsPlugin);
  app.register(pageAssets);
  app.register(registrationRoutes, services);
  app.register(sessionRoutes, services);
  app.register(jwksRoutes, services);
  app.register(accountRoutes, services);
  app.register(confirmationRoutes, services);
  app.register(passwordRoutes, services);
  app.register(emailChangeRoutes, services);
  app.register(administrationRoutes, services);
  app.register(gatewayRoutes, services);
  if (mailbox) app.register(mailboxRoutes, { mailbox });
  app.register(welcomeRoutes);
  app.register(async () => app.closeRoutes());
}
