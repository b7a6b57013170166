import type { FastifyReply, FastifyRequest } from 'fastify';
import fp from 'fastify-plugin';
import { networkOf } from '../http/network.ts';
import { Problem } from '../problems/problem.ts';
import type { Limiter } from './limiter.ts';
import { tokenLimit } from './limits.ts';

/** Slows down whoever tries out mailed tokens. A genuine token works all the time. */
export interface TokenGuesses {
  /** Counts a refusal, if it is of a token that is not genuine, and answers what to refuse the request with: the same, or `rate_limited`. */
  judge(refusal: unknown, ip: string): Promise<unknown>;
}

export function createTokenGuesses(limiter: Limiter): TokenGuesses {
  return {
    async judge(refusal, ip) {
      if (!(refusal instanceof Problem) || refusal.code !== 'invalid_token') return refusal;
      return limiter.take([{ limit: tokenLimit, subject: networkOf(ip) }]).then(
        () => refusal,
        (exhausted: unknown) => exhausted,
      );
    },
  };
}

declare module 'fastify' {
  interface FastifyContextConfig {
    /** Whether this route reads the token of a mailed link, so that tokens which are not genuine have to be counted. */
    takesMailedToken?: boolean;
  }
}

/** Counts the refusals of all routes that take mailed tokens. Those that show a page instead of a refusal do so themselves. */
export const tokenGuessesPlugin = fp<{ readonly tokens: TokenGuesses }>(
  async (app, { tokens }) => {
    app.addHook('onRoute', (route) => {
      if (route.config?.takesMailedToken !== true) return;
      const { handler } = route;
      route.handler = async function judged(request: FastifyRequest, reply: FastifyReply) {
        try {
          return await handler.call(this, request, reply);
        } catch (refusal) {
          throw await tokens.judge(refusal, request.ip);
        }
      };
    });
  },
  { name: 'token-guesses', dependencies: ['http'] },
);
