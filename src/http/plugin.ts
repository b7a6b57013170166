import type { Socket } from 'node:net';
import type { FastifyInstance, FastifyReply, FastifyRequest } from 'fastify';
import fp from 'fastify-plugin';
import { isDatabaseUnavailable } from '../db/unavailable.ts';
import { problemFromError } from '../problems/from-error.ts';
import { Problem } from '../problems/problem.ts';
import { followAnswers, maxUrlLength } from './client-error.ts';
import { countHeader } from './count-header.ts';
import { parseJsonBody } from './json-body.ts';

interface HttpOptions {
  readonly headers: Readonly<Record<string, string>>;
}

/**
 * JSON is UTF-8 (RFC 8259 §8.1), and so are our forms: a body that says it is something else, or is packed, is not read.
 *
 * @throws Problem `unsupported_media_type`
 */
export function requirePlain({ headers }: FastifyRequest, body: Buffer): Buffer {
  const charset = /;\s*charset\s*=\s*"?([^\s;"]+)/i.exec(headers['content-type'] ?? '')?.[1] ?? 'utf-8';
  const encoding = headers['content-encoding'] ?? 'identity';
  if (!/^utf-?8$/i.test(charset) || encoding.toLowerCase() !== 'identity') throw new Problem('unsupported_media_type');
  return body;
}

/**
 * More than any browser and any row of proxies send. Node reads any number, keeps 2000 and drops the others unseen, of
 * which one may be what a proxy has put at the end.
 */
const maxHeaderFields = 100;

/** Further connections are closed as they come, before they use up the memory and the descriptors that the database needs. */
const maxConnections = 10_000;

/** How often connections are looked over while the service closes. */
const idleCheckMs = 50;

declare module 'fastify' {
  interface FastifyRequest {
    /** The code of the problem that this request was answered with, for the log. */
    problemCode: string | undefined;
  }
}

/**
 * How every request is read and every answer is written: the same headers on all of them, JSON taken literally,
 * problems for all errors, and one log line a request that names the route, never the address (which can hold a token).
 */
export const httpPlugin = fp<HttpOptions>(
  async (app, { headers }) => {
    app.decorateRequest('problemCode', undefined);
    app.addHook('onRequest', (request, reply, done) => {
      reply.headers(headers);
      done(refusal(request));
    });
    app.addHook('onResponse', (request, reply, done) => {
      logRequest(request, reply);
      done();
    });
    app.removeAllContentTypeParsers();
    app.addContentTypeParser('application/json', { parseAs: 'buffer' }, async (request: FastifyRequest, body: Buffer) =>
      parseJsonBody(requirePlain(request, body)),
    );
    app.setErrorHandler((error, request, reply) => sendProblem(toProblem(error), request, reply));
    app.setNotFoundHandler(() => {
      throw new Problem('not_found');
    });
    // RFC 9110 §10.1.1 lets an expectation that nobody knows pass; Node would answer 417 without headers or body.
    app.server.on('checkExpectation', (request, response) => app.server.emit('request', request, response));
    app.server.maxConnections = maxConnections;
    followAnswers(app.server);
    refuseBodiesOfDeletions(app);
    refuseOtherMethods(app);
    letGoWhenClosing(app);
  },
  { name: 'http' },
);

/**
 * Node closes idle connections when it stops listening, but not those that become idle afterwards, nor those over which
 * nothing has ever been asked, as browsers open them ahead: nobody waits for these.
 */
function letGoWhenClosing(app: FastifyInstance): void {
  const connections = new Set<Socket>();
  let timer: NodeJS.Timeout | undefined;
  app.server.on('connection', (socket) => {
    connections.add(socket);
    socket.once('close', () => connections.delete(socket));
  });
  const letGo = () => {
    app.server.closeIdleConnections();
    for (const socket of connections) if (socket.bytesRead === 0) socket.destroy();
  };
  app.addHook('preClose', async () => {
    timer = setInterval(letGo, idleCheckMs).unref();
  });
  app.addHook('onClose', async () => clearInterval(timer));
}

/** A database that cannot answer right now is no fault of anybody's request: it may be sent again. */
function toProblem(error: unknown): Problem {
  return !(error instanceof Problem) && isDatabaseUnavailable(error)
    ? new Problem('service_unavailable', { cause: error, retryAfterSeconds: 1 })
    : problemFromError(error);
}

/** Writes a problem. Also for the router's own errors, which pass no hook and so bring the headers with them. */
export function sendProblem(problem: Problem, request: FastifyRequest, reply: FastifyReply): FastifyReply {
  request.problemCode = problem.code;
  if (problem.status === 500) request.log.error({ err: problem.cause ?? problem }, problem.message);
  // Without a cause it is overload, which is no time to write more than the line of the request.
  else if (problem.status > 500 && problem.cause !== undefined) request.log.warn({ err: problem.cause }, problem.message);
  return reply.code(problem.status).headers(problem.headers).header('x-request-id', request.id).send(JSON.stringify(problem));
}

/** RFC 3986 §3.2: a name or an address, and a port; no path, user or query. */
const hostText = /^(?:[\w.~!$&'()*+,;=%-]*|\[[\w.:%]+\])(?::\d*)?$/;

/** What no route may ever see; checked before the guard looks at the request. */
function refusal(request: FastifyRequest): Problem | undefined {
  const { url, raw } = request;
  if (url.length > maxUrlLength) return new Problem('uri_too_long');
  if (url.includes('%00')) return new Problem('malformed_request');
  // RFC 9112 §3.2. Node's own check is off, since its answer is not a problem; of two hosts it would take the first.
  const hosts = countHeader(raw.rawHeaders, 'host');
  const isAddressed = hosts === 1 || (hosts === 0 && raw.httpVersion === '1.0');
  if (!isAddressed || !hostText.test(raw.headers.host ?? '')) return ambiguous();
  if (raw.rawHeaders.length > 2 * maxHeaderFields) return new Problem('headers_too_large');
  return isFramedPlainly(raw) ? undefined : ambiguous();
}

/** Where one has seen another request than somebody on the way, what follows on the connection is not to be trusted, either (RFC 9112 §6.3). */
function ambiguous(): Problem {
  return new Problem('malformed_request', { headers: { connection: 'close' } });
}

/**
 * Whether nobody on the way can see another end of this request than we do. Node reads requests of versions that have
 * no headers, or frames, and passes over codings that it does not undo (RFC 9112 §2.3, §6.1).
 */
function isFramedPlainly({ httpVersion, headers }: FastifyRequest['raw']): boolean {
  const coding = headers['transfer-encoding'];
  return httpVersion === '1.1' ? coding === undefined || coding.toLowerCase() === 'chunked' : httpVersion === '1.0' && coding === undefined;
}

function logRequest(request: FastifyRequest, reply: FastifyReply): void {
  const line = {
    method: request.method,
    route: request.routeOptions.url ?? null,
    status: reply.statusCode,
    ms: Math.round(reply.elapsedTime * 10) / 10,
    ...(request.session && { user: request.session.userId }),
    ...(request.problemCode !== undefined && { code: request.problemCode }),
  };
  request.log.info(line, 'request');
}

/** A deletion takes no body, but Fastify reads one: it is taken as literally as any other. */
function refuseBodiesOfDeletions(app: FastifyInstance): void {
  app.addHook('onRoute', (route) => {
    if (route.method !== 'DELETE' || route.schema?.body !== undefined) return;
    const refuse = async ({ body }: FastifyRequest) => {
      const isEmpty = body == null || (typeof body === 'object' && !Array.isArray(body) && Object.keys(body).length === 0);
      if (!isEmpty)
        throw new Problem('validation_failed', { errors: [{ pointer: '', code: 'additionalProperties', message: 'must be empty' }] });
    };
    route.preValidation = [...[route.preValidation ?? []].flat(), refuse];
  });
}

/** Answers 405 with an `Allow` header (RFC 9110 §15.5.6) where a path exists, but not for that method. */
function refuseOtherMethods(app: FastifyInstance): void {
  const methodsOf = new Map<string, Set<string>>();
  app.addHook('onRoute', ({ url, method }) => {
    const methods = methodsOf.get(url) ?? new Set();
    for (const each of [method].flat()) methods.add(each);
    methodsOf.set(url, methods);
  });
  app.decorate('closeRoutes', () => {
    // '*' is no path, but the CORS plugin's answer for all that are none.
    for (const [url, methods] of [...methodsOf].filter(([each]) => each !== '*')) {
      const allow = [...methods].sort().join(', ');
      app.route({
        method: app.supportedMethods.filter((method) => !methods.has(method)),
        url,
        config: { access: 'public' },
        schema: { hide: true },
        onRequest: (_request, _reply, done) => done(new Problem('method_not_allowed', { headers: { allow } })),
        handler: () => undefined,
      });
    }
  });
}

declare module 'fastify' {
  interface FastifyInstance {
    /** Called once, after the last route: from here on every known path answers every method. */
    closeRoutes(): void;
  }
}
