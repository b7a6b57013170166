import type { FastifyPluginAsyncTypebox } from '@fastify/type-provider-typebox';
import { Type } from '@sinclair/typebox';
import { strictObject } from '../http/schemas.ts';
import type { Services } from '../services.ts';

const KeySet = strictObject(
  {
    keys: Type.Array(
      strictObject({
        kty: Type.String(),
        crv: Type.String(),
        x: Type.String(),
        y: Type.String(),
        kid: Type.String(),
        use: Type.Literal('sig'),
        alg: Type.Literal('ES256'),
      }),
    ),
  },
  { description: 'The public keys (RFC 7517): those to come, the one that signs, and those whose tokens may still live.' },
);

/** The keys that access tokens are verified with, for anybody who wants to verify them. */
export const jwksRoutes: FastifyPluginAsyncTypebox<Pick<Services, 'keyRing'>> = async (app, { keyRing }) => {
  app.route({
    method: 'GET',
    url: '/.well-known/jwks.json',
    config: { access: 'public' },
    exposeHeadRoute: true,
    schema: {
      operationId: 'getKeys',
      tags: ['Sessions'],
      summary: 'The keys that access tokens are verified with',
      response: { 200: KeySet },
    },
    async handler(_request, reply) {
      // Half of what a new key is published before it signs: who caches it for so long never meets an unknown one.
      return reply.header('cache-control', 'public, max-age=300').send({ keys: keyRing.published() });
    },
  });
};
