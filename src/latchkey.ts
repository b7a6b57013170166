import type { ServerResponse } from 'node:http';
import proxyAddr from '@fastify/proxy-addr';
import type { FastifyInstance, FastifyReply, FastifyRequest } from 'fastify';
import fp from 'fastify-plugin';
import { buildApp } from './app.ts';
import { type Clock, systemClock } from './clock.ts';
import { ConfigError, loadConfig } from './config.ts';
import type { FoundSession } from './guard/find-session.ts';
import { admit } from './guard/plugin.ts';
import { hasHungUp } from './http/ambiguous-requests.ts';
import { sendProblem, toProblem } from './http/plugin.ts';
import { securityHeaders } from './http/security-headers.ts';
import type { Problem } from './problems/problem.ts';
import type { User } from './user.ts';

export interface LatchkeyOptions {
  /** The variables that README.md lists, such as `process.env`. */
  readonly env: Readonly<Record<string, string | undefined>>;
  /**
   * Whether the routes of the service are among the application's; true by default. Without them only the guard is
   * there, for an application beside a service that runs elsewhere, with the same database and the same variables.
   */
  readonly routes?: boolean;
  /** Answers what the guard refuses; with the problem as a document (RFC 9457) by default. */
  readonly refuse?: (problem: Problem, request: FastifyRequest, reply: FastifyReply) => unknown;
  readonly clock?: Clock;
}

/**
 * Latchkey in somebody's own Fastify application: its routes, and its guard on all routes that are registered afterwards.
 *
 * Each of those is closed to all but confirmed users, unless its `config` names another access level; whose request it
 * is, is in `request.user`. The routes of the service are those of the service that stands alone, which answers them as
 * it always does: with its own parsers, validators, limits and problems, whatever the application has set for itself.
 *
 * @throws ConfigError when the variables are not in order, or ask for what only a service of its own has
 */
export const latchkey = fp<LatchkeyOptions>(
  async (app, { env, routes = true, refuse = sendRefusal, clock = systemClock }) => {
    const config = loadConfig(env);
    const { metricsPort, publicUrl, trustedProxies } = config.server;
    if (config.upstream) throw new ConfigError(['UPSTREAM_URL is for a service of its own, not for a plugin']);
    if (metricsPort !== undefined) throw new ConfigError(['METRICS_PORT is for a service of its own, not for a plugin']);
    const answers = createAnswers();
    const service = await buildApp(config, { clock, worksInBackground: routes, host: answers });
    app.addHook('preClose', () => service.close());

    // The service's own view of where a request comes from, which its sessions are bound to.
    const isTrusted = proxyAddr.compile([...trustedProxies]);
    const headers = securityHeaders(publicUrl);
    app.decorateRequest('user', null);
    app.addHook('onRequest', (request, reply, done) => {
      if (request.is404) return done();
      const { raw, method } = request;
      if (hasHungUp(raw.socket)) {
        reply.hijack();
        raw.destroy();
        return;
      }
      const ip = () => proxyAddr(raw, isTrusted);
      const find = () => service.guard.findSession({ headers: request.headers, raw, method, ip: ip() });
      admit(request, find, (refusal, session) => {
        request.user = session && userOf(session);
        if (refusal === undefined) return done();
        reply.headers(headers);
        // One that fails, at once or later, is answered like every other fault of the application.
        (async () => refuse(toProblem(refusal), request, reply))().catch(done);
      });
    });
    if (routes) handOver(app, service, answers);
  },
  { name: 'latchkey', fastify: '5.x' },
);

function sendRefusal(problem: Problem, request: FastifyRequest, reply: FastifyReply): void {
  sendProblem(problem, request, reply);
}

function userOf({ userId, username, email, role, confirmed }: FoundSession): User {
  return { id: userId, username, email, role, confirmed };
}

/** Hands whatever comes for a route of the service over to it, before the application has read any of it. */
function handOver(app: FastifyInstance, service: FastifyInstance, { follow }: ReturnType<typeof createAnswers>): void {
  // '*' is no path, but the service's own answer for all that are none.
  const paths = service.paths().filter((path) => path !== '*');
  for (const url of new Set(paths.map(pathToMatch))) {
    app.route({
      method: app.supportedMethods,
      url,
      exposeHeadRoute: false,
      config: { access: 'public' },
      schema: { hide: true },
      onRequest(request, reply) {
        reply.hijack();
        follow(reply.raw);
        service.routing(request.raw, reply.raw);
      },
      handler: () => undefined,
    });
  }
}

/** A route's pattern up to its first parameter: an application may take shorter ones than a token is. */
function pathToMatch(pattern: string): string {
  return pattern.replace(/[:*].*$/, '*');
}

/** How long requests that are under way when an application closes may take. */
const answerWithinMs = 10_000;

/** The answers that the service has begun for an application. */
function createAnswers() {
  const open = new Set<ServerResponse>();
  const waiting: (() => void)[] = [];
  const destroyAll = () => {
    for (const answer of open) answer.destroy();
  };
  return {
    follow(answer: ServerResponse): void {
      open.add(answer);
      answer.once('close', () => {
        open.delete(answer);
        if (open.size === 0) for (const resolve of waiting) resolve();
      });
    },
    allAnswered: () =>
      new Promise<void>((resolve) => {
        if (open.size === 0) return resolve();
        waiting.push(resolve);
        setTimeout(destroyAll, answerWithinMs).unref();
      }),
  };
}
