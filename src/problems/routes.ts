import type { FastifyPluginAsyncTypebox } from '@fastify/type-provider-typebox';
import { Type } from '@sinclair/typebox';
import { catalogue, isProblemCode } from './catalogue.ts';
import { Problem } from './problem.ts';

/** `GET /problems/{code}`: what the `type` of a problem refers to. */
export const problemRoutes: FastifyPluginAsyncTypebox = async (app) => {
  app.route({
    method: 'GET',
    url: '/problems/:code',
    config: { access: 'public', problems: ['not_found'] },
    schema: {
      operationId: 'getProblem',
      tags: ['Problems'],
      summary: 'What a problem code means',
      params: Type.Object({ code: Type.String() }, { additionalProperties: false }),
      response: {
        200: Type.Object(
          { code: Type.String(), status: Type.Integer(), title: Type.String(), description: Type.String() },
          { additionalProperties: false, description: 'One kind of problem.' },
        ),
      },
    },
    async handler(request, reply) {
      const { code } = request.params;
      if (!isProblemCode(code)) throw new Problem('not_found');
      const { status, title, detail } = catalogue[code];
      return reply.header('cache-control', 'public, max-age=3600').send({ code, status, title, description: detail });
    },
  });
};
