import fastifyRateLimit, { type FastifyRateLimitStore } from '@fastify/rate-limit';
import type { FastifyReply, FastifyRequest } from 'fastify';
import fp from 'fastify-plugin';
import { networkOf, wideNetworkOf } from '../http/network.ts';
import type { Counters } from './counters.ts';
import { type LimiterOptions, rateLimited } from './limiter.ts';
import { type Limit, type RequestLimitName, requestLimits } from './limits.ts';
import { type Quota, quotaFields } from './quotas.ts';

declare module 'fastify' {
  interface FastifyContextConfig {
    /** How often clients of one network may use this route. Requests that are not well-formed do not count. */
    limit?: RequestLimitName;
  }
  interface FastifyInstance {
    /**
     * Counts a request for its networks, and says in the answer what is left.
     *
     * @throws Problem `rate_limited`
     */
    limitRequest(name: RequestLimitName, request: FastifyRequest, reply: FastifyReply): Promise<void>;
  }
}

/** Limits the requests to routes that say so in their `config`, before they do any work. */
export const requestLimitPlugin = fp<LimiterOptions>(
  async (app, { counters, limitKey, isOn }) => {
    if (!isOn) return void app.decorate('limitRequest', async () => {});
    await app.register(fastifyRateLimit, { global: false, store: storeOf(counters) });

    function check(limit: Limit, subjectOf: (ip: string) => string) {
      const count = app.createRateLimit({
        max: limit.max,
        timeWindow: limit.windowSeconds * 1000,
        keyGenerator: ({ ip }) => limitKey({ limit, subject: subjectOf(ip) }),
      });
      return async (request: FastifyRequest): Promise<Quota> => {
        const counted = await count(request);
        if (counted.isAllowed) throw new Error('there is no list of clients that are not limited');
        return { limit, remaining: counted.isExceeded ? -1 : counted.remaining, resetsInSeconds: counted.ttl / 1000 };
      };
    }

    const checks = new Map(
      Object.entries(requestLimits).map(([name, { network, wideNetwork }]) => {
        return [name, [check(network, networkOf), check(wideNetwork, wideNetworkOf)]];
      }),
    );
    app.decorate('limitRequest', async (name, request, reply) => {
      const quotas: Quota[] = [];
      // One after the other: what a network may not send does not count for its neighbours.
      for (const each of checks.get(name) ?? []) {
        const quota = await each(request);
        if (quota.remaining < 0) throw rateLimited([quota]);
        quotas.push(quota);
      }
      reply.headers(quotaFields(quotas));
    });
    app.addHook('onRoute', (route) => {
      const name = route.config?.limit;
      if (name === undefined) return;
      const limit = (request: FastifyRequest, reply: FastifyReply) => app.limitRequest(name, request, reply);
      route.preHandler = [...[route.preHandler ?? []].flat(), limit];
    });
  },
  { name: 'request-limits', dependencies: ['http'] },
);

/** Our counters, in the form that the plugin asks for. */
function storeOf(counters: Counters): new () => FastifyRateLimitStore {
  return class Store implements FastifyRateLimitStore {
    incr(key: string, callback: Parameters<FastifyRateLimitStore['incr']>[1], windowMs = 0): void {
      counters.add([{ key, by: 1, windowSeconds: windowMs / 1000 }]).then(
        ([counter]) => callback(null, { current: counter?.used ?? 0, ttl: (counter?.resetsInSeconds ?? 0) * 1000 }),
        (error: Error) => callback(error),
      );
    }

    child(): this {
      return this;
    }
  };
}
