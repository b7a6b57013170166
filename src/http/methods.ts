import type { FastifyInstance, FastifyRequest } from 'fastify';
import { Problem } from '../problems/problem.ts';

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

/** Answers 405 with an `Allow` header (RFC 9110 §15.5.6) where a path exists, but not for that method. */
export function refuseOtherMethods(app: FastifyInstance): void {
  const methodsOf = new Map<string, Set<string>>();
  app.addHook('onRoute', ({ url, method }) => {
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
      app.route({
        method: others,
        url,
        config: { access: 'public' },
        schema: { hide: true },
        onRequest: (_request, _reply, done) => done(new Problem('method_not_allowed', { headers: { allow } })),
        handler: () => undefined,
      });
    }
  });
}
