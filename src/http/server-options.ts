import { randomUUID } from 'node:crypto';
import type { Server } from 'node:http';
import { type FastifyHttpOptions, LogController } from 'fastify';
import { type Config, type LogLevel, logLevels } from '../config.ts';
import { parseEmail } from '../credentials/email.ts';
import { problemFromError } from '../problems/from-error.ts';
import { maxBodyBytes, maxUrlLength } from '../schemas.ts';
import { createClientErrorHandler } from './client-error.ts';
import { deferredCompilers } from './compilers.ts';
import { corsFields } from './cors.ts';
import { logError } from './log-error.ts';
import { sendProblem } from './plugin.ts';
import { redact } from './redact.ts';
import { lazyChildLogger } from './request-logger.ts';

/** Whether each request has its line in a log of this level. */
export function logsRequests(level: LogLevel): boolean {
  return logLevels.indexOf(level) <= logLevels.indexOf('info');
}

/** All of Fastify's options: its defaults convert types, drop members and answer errors in words of their own. */
export function serverOptions(
  { server, sessions }: Pick<Config, 'server' | 'sessions'>,
  headers: Readonly<Record<string, string>>,
  log: { write(line: string): void },
) {
  const { trustedProxies, logLevel } = server;
  return {
    logger: { level: logLevel, serializers: { err: logError }, hooks: { streamWrite: redact }, stream: log },
    ...(!logsRequests(logLevel) && { childLoggerFactory: lazyChildLogger }),
    // Ours alone says what is worth a line, and names routes instead of addresses, which can hold a token.
    logController: new LogController({ disableRequestLogging: true }),
    trustProxy: trustedProxies.length > 0 ? [...trustedProxies] : false,
    genReqId: () => randomUUID(),
    requestIdHeader: false,
    bodyLimit: maxBodyBytes,
    // Time for a whole request, so that a slow sender cannot hold a connection.
    requestTimeout: 30_000,
    keepAliveTimeout: 72_000,
    // Without a byte either way, as with a client that does not read what it has asked for. Streams have a heartbeat.
    connectionTimeout: 60_000,
    // For what starts on a machine that has too much else to do; what waits for others has a limit of its own.
    pluginTimeout: 60_000,
    // Node looks twice a minute by default, which would make of each limit up to half a minute more.
    http: { headersTimeout: 15_000, connectionsCheckingInterval: 1000, requireHostHeader: false },
    // While it closes, what still comes in over an open connection is answered; the refusal would be in Fastify's words.
    return503OnClosing: false,
    exposeHeadRoutes: false,
    routerOptions: { maxParamLength: maxUrlLength },
    schemaController: { compilersFactory: deferredCompilers() },
    ajv: {
      customOptions: {
        allErrors: true,
        coerceTypes: false,
        removeAdditional: false,
        useDefaults: false,
      },
      // Not among the options: the compiler's own formats, which come after those, would win.
      onCreate: (ajv) =>
        ajv
          // For the OpenAPI document alone: examples with names.
          .addVocabulary(['x-examples'])
          .addFormat('email', (text: string) => parseEmail(text) !== undefined)
          // The usual one takes `urn:uuid:`, too, which PostgreSQL does not.
          .addFormat('uuid', /^[0-9a-f]{8}-(?:[0-9a-f]{4}-){3}[0-9a-f]{12}$/i),
    },
    frameworkErrors: (error, request, reply) => {
      reply.headers({ ...headers, ...corsFields(sessions.corsOrigins, request) });
      sendProblem(problemFromError(error), request, reply);
    },
    clientErrorHandler: createClientErrorHandler(headers),
  } satisfies FastifyHttpOptions<Server>;
}
