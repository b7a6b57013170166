import type { FastifyPluginAsyncTypebox } from '@fastify/type-provider-typebox';
import { Type } from '@sinclair/typebox';
import { strictObject, text } from '../schemas.ts';
import type { Services } from '../services.ts';

/** 32 bytes in base64url. */
const keyPartLength = 43;

const KeySet = strictObject(
  {
    keys: Type.Array(
      strictObject({
        kty: Type.Literal('EC'),
        crv: Type.Literal('P-256'),
        x: text(keyPartLength),
        y: text(keyPartLength),
        kid: text(keyPartLength),
        use: Type.Literal('sig'),
        alg: Type.Literal('ES256'),
      }),
      { maxItems: 1000 },
    ),
  },
  {
    description: 'The public keys (RFC 7517): those to come, the one that signs, and those whose tokens may still live.',
    examples: [
      {
        keys: [
          {
            kty: 'EC',
            crv: 'P-256',
            x: 'f83OJ3D2xF1Bg8vub9tLe1gHMzV76e8Tus9uPHvRVEU',
            y: 'x_FEzRu9m36HLN_tue659LNpXW6pCyStikYjKIWI5a0',
            kid: 'oKIywvGUpTVTyxMQ3bwIIeQUudfr_CkLMjCE19ECD-U',
            use: 'sig',
            alg: 'ES256',
          },
        ],
      },
    ],
  },
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
      description: 'A JWK set (RFC 7517). A client that meets an unknown `kid` reads it again; until then it may be kept for five minutes.',
      response: { 200: KeySet },
    },
    async handler(_request, reply) {
      // Half of what a new key is published before it signs: who caches it for so long never meets an unknown one.
      return reply.header('cache-control', 'public, max-age=300').send({ keys: keyRing.published() });
    },
  });
};
