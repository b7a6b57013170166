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
import { type LogOutput, openLogOutput } from './http/log-output.ts';
import { httpPlugin } from './http/plugin.ts';
import { securityHeaders } from './http/security-headers.ts';
import { logsRequests, serverOptions } from './http/server-options.ts';
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
  /** The application that has the service's routes among its own, and the connections; none means that the service has its own. */
  readonly host?: Host;
  /** Where log lines go; standard output by default. */
  readonly log?: Log;
}

export type Log = Pick<LogOutput, 'write'> & Partial<LogOutput>;

export interface Host {
  /** Resolves when every request that was handed to the service has been answered. */
  allAnswered(): Promise<void>;
}

declare module 'fastify' {
  interface FastifyInstance {
    services: Services;
  }
}

/** Time for a whole request where it may be an upload for an application; ours are small. */
const uploadTimeoutMs = 5 * 60_000;

/**
 * Builds the whole service, ready to listen or to be injected into; every process that needs it comes through here.
 *
 * Opens and migrates the database, loads the keys and starts the mail worker. Closing the app gives all of it back.
 *
 * @throws DirectoryLockedError when another process uses the data directory of the embedded database
 * @throws MailTemplateError or PageTemplateError when a template of the operator's does not work
 */
export async function buildApp(config: Config, appOptions: AppOptions) {
  const { clock, announce = () => {}, failpoints, worksInBackground = true, host } = appOptions;
  const headers = securityHeaders(config.server.publicUrl);
  const tell = (dropped: number) => app.log.warn({ dropped }, 'lines of the log were dropped: they could not be written');
  const log: Log = appOptions.log ?? openLogOutput({ output: process.stdout, tell });
  const options = { ...serverOptions(config, headers, log), ...(config.upstream && { requestTimeout: uploadTimeoutMs }) };
  const app = fastify(options).withTypeProvider<TypeBoxTypeProvider>();
  const needsDirectory = config.databaseUrl === undefined || config.mail.smtpUrl === undefined || config.authSecrets.length === 0;
  if (needsDirectory) await openDataDirectory(config.dataDir);

  const opening = openDatabase({
    url: config.databaseUrl,
    dataDir: config.dataDir,
    poolSize: config.databasePoolSize,
    announce,
    onIdleError: (err) => app.log.warn({ err }, 'an idle database connection was lost'),
    onRisk: (settings) => app.log.warn({ settings }, 'a crash of the database server may undo what it has acknowledged'),
  });
  // That it fails is told where it is awaited, which may be later.
  opening.catch(() => {});
  // First registered, last run: everything that uses the database, or the log, has stopped by then.
  app.addHook('onClose', () => log.drained?.());
  app.addHook('onClose', async () => (await opening.catch(() => undefined))?.close());
  try {
    // While the database opens, which takes longest.
    await prepareWire(app, config, { headers, host });
    const database = await opening;
    const secrets = config.authSecrets.length > 0 ? config.authSecrets : [await loadGeneratedSecret(config.dataDir)];
    const { db, feedDb, poolUse } = database;
    const services = await createServices(app, { config, clock, db, feedDb, poolUse, secrets, failpoints, worksInBackground });
    app.decorate('services', services);
    await assemble(app, services, host);
    await app.ready();
  } catch (error) {
    await app.close();
    throw error;
  }
  return app;
}

/** Everything between a connection and a route that needs no database. */
async function prepareWire(
  app: FastifyInstance,
  config: Config,
  { headers, host }: { readonly headers: Readonly<Record<string, string>>; readonly host: Host | undefined },
): Promise<void> {
  const { corsOrigins } = config.sessions;
  const { logLevel, publicUrl, otlpEndpoint: endpoint, otelServiceName: serviceName, trustedProxies } = config.server;
  if (endpoint !== undefined && !host) {
    const { traceRequests } = await import('./operations/tracing.ts');
    await traceRequests(app, { endpoint, serviceName, trustedProxies });
  }
  await app.register(httpPlugin, { headers, logsRequests: logsRequests(logLevel) });
  // Ours reads the cookies itself, since a library would take one of two with the same name.
  await app.register(fastifyCookie, { hook: false });
  await app.register(corsPlugin, { origins: corsOrigins });
  await app.register(openapiPlugin, { publicUrl, accessCookie: sessionCookies(publicUrl).access });
}

async function assemble(app: FastifyInstance, services: Services, host: Host | undefined): Promise<void> {
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
  if (config.upstream) {
    // With a client and a proxy of which nobody else has any use.
    const { upstreamPlugin } = await import('./gateway/upstream.ts');
    app.register(upstreamPlugin, { ...services, upstream: config.upstream });
  } else if (!host) app.register(welcomeRoutes);
  app.register(async () => app.closeRoutes());
  // After the streams, of which each has its own hook, have been ended.
  app.register(async (last) => void last.addHook('preClose', host?.allAnswered ?? app.awaitSilence));
}
