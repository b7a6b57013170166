import type { FastifyInstance, FastifyRequest } from 'fastify';
import { Problem } from '../problems/problem.ts';
import { createPathFinder } from './known-paths.ts';

declare module 'fastify' {
  interface FastifyContextConfig {
    /** Whether requests of this route are for an application behind the service, which says itself what it takes. */
    isPassedOn?: true;
  }
  interface FastifyInstance {
    /** Called once, after the last route: from here on every known path answers every method. */
    closeRoutes(): void;
    /** The patterns of all routes that there are so far. */
    paths(): readonly string[];
  }
}

/** A deletion takes no body, but Fastify reads one: it is taken as literally as every other. */
export function refuseBodiesOfDeletions(app: FastifyInstance): void {
  app.addHook('onRoute', (route) => {
    if (route.method !== 'DELETE' || route.schema?.body !== undefined || route.config?.isPassedOn) return;
    const refuse = async ({ body }: FastifyRequest) => {
      const isEmpty = body == null || (typeof body === 'object' && !Array.isArray(body) && Object.keys(body).length === 0);
      if (!isEmpty)
        throw new Problem('validation_failed', { errors: [{ pointer: '', code: 'additionalProperties', message: 'must be empty' }] });
    };
    route.preValidation = [...[route.preValidation ?? []].flat(), refuse];
  });
}

/**
 * Answers 405 with an `Allow` header (RFC 9110 §15.5.6) where a path exists, but not for that method.
 *
 * @returns the same refusal for a request that no route has matched: the framework has none for methods such as
 *   PROPFIND, and with one for each path it would start later
 */
export function refuseOtherMethods(app: FastifyInstance): (request: FastifyRequest) => Problem | undefined {
  const methodsOf = new Map<string, Set<string>>();
  const allowOf = new Map<string, string>();
  const passedOn = new Set<string>();
  app.addHook('onRoute', ({ url, method, config }) => {
    if (config?.isPassedOn) passedOn.add(url);
    const methods = methodsOf.get(url) ?? new Set();
    for (const each of [method].flat()) methods.add(each);
    methodsOf.set(url, methods);
  });
  app.decorate('paths', () => [...methodsOf.keys()]);
  app.decorate('closeRoutes', () => {
    // '*' is no path, but the CORS plugin's answer for all that are none.
    for (const [url, methods] of [...methodsOf].filter(([each]) => each !== '*')) {
      const others = app.supportedMethods.filter((method) => !methods.has(method) && !app.hasRoute({ method, url }));
      if (others.length === 0) continue;
      const allow = [...methods].sort().join(', ');
      if (!passedOn.has(url)) allowOf.set(url, allow);
      app.route({
        method: others,
        url,
        config: { access: 'public' },
        schema: { hide: true },
        onRequest: (_request, _reply, done) => done(methodNotAllowed(allow)),
        handler: () => undefined,
      });
    }
  });
  const find = createPathFinder(allowOf);
  return ({ method, url }) => {
    const allow = app.supportedMethods.includes(method) ? undefined : find(url);
    return allow === undefined ? undefined : methodNotAllowed(allow);
  };
}

function methodNotAllowed(allow: string): Problem {
  return new Problem('method_not_allowed', { headers: { allow } });
}
