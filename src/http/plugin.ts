import type { FastifyReply, FastifyRequest } from 'fastify';
import fp from 'fastify-plugin';
import { isDatabaseUnavailable } from '../db/unavailable.ts';
import { problemFromError } from '../problems/from-error.ts';
import { Problem } from '../problems/problem.ts';
import { refusalOf } from './ambiguous-requests.ts';
import { followAnswers } from './client-error.ts';
import { letGoWhenClosing, listenForSilence, sayWhenEnding } from './closing.ts';
import { countHeader } from './count-header.ts';
import { parseJsonBody } from './json-body.ts';
import { refuseBodiesOfDeletions, refuseOtherMethods } from './methods.ts';

interface HttpOptions {
  readonly headers: Readonly<Record<string, string>>;
  /** Whether each request has its line in the log; true by default. */
  readonly logsRequests?: boolean;
}

/**
 * JSON is UTF-8 (RFC 8259 §8.1), and so are our forms: a body that says it is something else, or two things, or is packed, is not read.
 *
 * @throws Problem `unsupported_media_type`
 */
export function requirePlain({ headers, raw }: FastifyRequest, body: Buffer): Buffer {
  const charset = /;\s*charset\s*=\s*"?([^\s;"]+)/i.exec(headers['content-type'] ?? '')?.[1] ?? 'utf-8';
  const encoding = headers['content-encoding'] ?? 'identity';
  const isPlain = /^utf-?8$/i.test(charset) && encoding.toLowerCase() === 'identity';
  if (!isPlain || countHeader(raw.rawHeaders, 'content-type') > 1) throw new Problem('unsupported_media_type');
  return body;
}

/** Further connections are closed as they come, before they use up the memory and the descriptors that the database needs. */
const maxConnections = 10_000;

declare module 'fastify' {
  interface FastifyRequest {
    /** The code of the problem that this request was answered with, for the log. */
    problemCode: string | undefined;
  }
}

/**
 * How every request is read and every answer is written: the same headers on all of them, JSON taken literally,
 * problems for all errors, and, where the log is to have them, one line a request that names the route, never the address (which can hold a token).
 */
export const httpPlugin = fp<HttpOptions>(
  async (app, { headers, logsRequests = true }) => {
    app.decorateRequest('problemCode', undefined);
    refuseBodiesOfDeletions(app);
    const refusalOfMethod = refuseOtherMethods(app);
    app.addHook('onRequest', (request, reply, done) => {
      reply.headers(headers);
      done(refusalOf(request) ?? (request.is404 ? refusalOfMethod(request) : undefined));
    });
    if (logsRequests) {
      app.addHook('onResponse', (request, reply, done) => {
        logRequest(request, reply);
        done();
      });
    }
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
    sayWhenEnding(app);
    letGoWhenClosing(app);
    listenForSilence(app);
  },
  { name: 'http' },
);

/** A database that cannot answer right now is no fault of anybody's request: it may be sent again. */
export function toProblem(error: unknown): Problem {
  return !(error instanceof Problem) && isDatabaseUnavailable(error)
    ? new Problem('service_unavailable', { cause: error, retryAfterSeconds: 1 })
    : problemFromError(error);
}

/** Tells the log of a problem. */
export function noteProblem(problem: Problem, request: FastifyRequest): void {
  request.problemCode = problem.code;
  if (problem.status === 500) request.log.error({ err: problem.cause ?? problem }, problem.message);
  // Without a cause it is overload, which is no time to write more than the line of the request.
  else if (problem.status > 500 && problem.cause !== undefined) request.log.warn({ err: problem.cause }, problem.message);
}

/** Writes a problem. Also for the router's own errors, which pass no hook and so bring the headers with them. */
export function sendProblem(problem: Problem, request: FastifyRequest, reply: FastifyReply): FastifyReply {
  noteProblem(problem, request);
  return reply.code(problem.status).headers(problem.headers).header('x-request-id', request.id).send(JSON.stringify(problem));
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
