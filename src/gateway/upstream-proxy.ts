import type { IncomingHttpHeaders } from 'node:http';
import type { Readable } from 'node:stream';
import type { FastifyHttpProxyOptions } from '@fastify/http-proxy';
import type { FastifyError, FastifyInstance, FastifyReply, FastifyRequest } from 'fastify';
import type { UpstreamConfig } from '../config.ts';
import { isDatabaseUnavailable } from '../db/unavailable.ts';
import type { AccessLevel } from '../guard/access.ts';
import type { FoundSession } from '../guard/find-session.ts';
import { presentedToken } from '../guard/presented-token.ts';
import { securityHeaders } from '../http/security-headers.ts';
import { Problem } from '../problems/problem.ts';
import type { Services } from '../services.ts';
import { identityHeaders } from './identity-headers.ts';
import { mayHoldOurs } from './own-credentials.ts';
import { findSomeSession } from './some-session.ts';
import { fieldsForClient, fieldsForUpstream, type Told } from './upstream-fields.ts';
import { webSocketOptions } from './upstream-sockets.ts';

/** To reach the application, which is next door. */
const connectTimeoutMs = 5000;

export type UpstreamOptions = Pick<Services, 'accessTokens' | 'config' | 'revocations' | 'sessionCookies'> & {
  readonly upstream: UpstreamConfig;
};

/** What the proxy hands on of an answer, which it declares as another. */
interface ReceivedAnswer {
  readonly statusCode: number;
  readonly headers: IncomingHttpHeaders;
  readonly stream: Readable;
}

/** How requests of some routes, which have one access level, are passed on, and what becomes of the answers. */
export function proxyOptions(
  app: FastifyInstance,
  { accessTokens, config, upstream, sessionCookies }: UpstreamOptions,
  routes: string[],
  access: AccessLevel,
): FastifyHttpProxyOptions & { websocket: true } {
  const { publicUrl } = config.server;
  const { protocol, host } = new URL(publicUrl);
  const ownCookies = [sessionCookies.access, sessionCookies.refresh];
  const ownHeaders = Object.keys(securityHeaders(publicUrl)).filter((name) => name !== 'strict-transport-security');

  function tell(request: FastifyRequest): Told {
    const { session, ip, id } = request;
    const fields = { 'x-forwarded-for': ip, 'x-forwarded-proto': protocol.slice(0, -1), 'x-forwarded-host': host, 'x-request-id': id };
    if (!session?.confirmed) return { fields, ownCookies };
    const token = upstream.jwt ? presentedToken(request, sessionCookies.access)?.token : undefined;
    return {
      fields: { ...fields, ...identityHeaders(session), ...(token !== undefined && { authorization: `Bearer ${token}` }) },
      ownCookies,
    };
  }

  function requestFields(request: FastifyRequest) {
    const { authorization = '', ...others } = request.headers;
    // An access token is for us, even where it lets nobody in; and where the application is to have it, it believes whatever stands there.
    const isForeign = request.session === null && !upstream.jwt && !mayHoldOurs(authorization, accessTokens);
    return fieldsForUpstream(isForeign ? request.headers : others, tell(request));
  }

  return {
    upstream: upstream.url,
    routes,
    httpMethods: methodsFor(config.sessions.corsOrigins),
    config: { access, isPassedOn: true },
    disableRequestLogging: true,
    destroyAgent: true,
    // Its own default does not look at certificates.
    undici: {
      connections: null,
      connect: { timeout: connectTimeoutMs, rejectUnauthorized: true },
      headersTimeout: upstream.timeoutSeconds * 1000,
      // An answer may take its time; the server lets go of a client to which nothing is sent.
      bodyTimeout: 0,
    },
    preHandler(request, _reply, done) {
      if (access !== 'public') return done();
      findCaller(app, request).then((session) => {
        request.session = session;
        done();
      }, done);
    },
    handler({ socket }, reply, dest, replyOptions) {
      return reply.from(dest, {
        ...replyOptions,
        // Not before it is known to be an answer.
        rewriteHeaders: () => ({}),
        onResponse: (request, _reply, received) => passBack(request, reply, received as unknown as ReceivedAnswer),
      });

      function passBack(request: unknown, target: FastifyReply, { statusCode, headers, stream }: ReceivedAnswer): void {
        // The one has been answered as no answer by now, the other by nobody.
        if (statusCode > 599 || socket.destroyed) return void stream.on('error', () => {}).destroy();
        // What they forbid is for the application to say.
        for (const name of ownHeaders) target.removeHeader(name);
        const fields = replyOptions.rewriteHeaders?.(headers, request as FastifyRequest) ?? headers;
        const vary = [target.getHeader('vary'), fields.vary].filter((each) => each !== undefined).join(', ');
        target.headers({ ...fields, ...(vary !== '' && { vary }) }).send(stream);
      }
    },
    replyOptions: {
      // A connection that the application has just closed; what changes nothing may be sent again.
      retriesCount: 1,
      rewriteRequestHeaders: (request) => requestFields(request as FastifyRequest),
      rewriteHeaders: (headers, request) =>
        fieldsForClient(headers, {
          ownCookies,
          upstreamOrigin: upstream.url,
          publicUrl,
          isPrivate: request?.session != null,
        }) as typeof headers,
      onError: (reply, { error }) => void reply.send(upstreamProblem(error)),
    },
    // It would take a field that came twice for a text; what is to be done about it is done above.
    internalRewriteLocationHeader: false,
    ...webSocketOptions(app.log, connectTimeoutMs, requestFields),
  };
}

/** Where CORS_ORIGINS is set, preflights are answered for the application, and OPTIONS requests are not passed on. */
function methodsFor(corsOrigins: readonly string[]): string[] {
  const methods = ['GET', 'HEAD', 'POST', 'PUT', 'PATCH', 'DELETE'];
  return corsOrigins.length > 0 ? methods : [...methods, 'OPTIONS'];
}

/** Whose request it is, as far as that can be told: a public path is open to everybody, whatever they present. */
async function findCaller(app: FastifyInstance, request: FastifyRequest): Promise<FoundSession | null> {
  try {
    return await findSomeSession(app.guard, request);
  } catch (error) {
    if (error instanceof Problem || isDatabaseUnavailable(error)) return null;
    throw error;
  }
}

/** What went wrong between us and the application, which the client can do nothing about. */
function upstreamProblem(error: Error): Problem {
  const { statusCode } = error as Partial<FastifyError>;
  return new Problem(statusCode === 504 ? 'gateway_timeout' : 'bad_gateway', { cause: error });
}
