import type { FastifyPluginAsyncTypebox } from '@fastify/type-provider-typebox';
import { maxUrlLength, strictObject, text } from '../schemas.ts';
import { catalogue, isProblemCode } from './catalogue.ts';
import { Problem } from './problem.ts';
import { codeText, statusNumber, wordsText } from './schema.ts';

const { status: exampleStatus, title: exampleTitle, detail: exampleDetail } = catalogue.unconfirmed;
const exampleKind = { code: 'unconfirmed', status: exampleStatus, title: exampleTitle, description: exampleDetail };

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
      description: 'What the `type` of a problem refers to: its status and what it means, in words for people.',
      params: strictObject({ code: text(maxUrlLength) }),
      response: {
        200: strictObject(
          { code: codeText, status: statusNumber, title: wordsText, description: wordsText },
          { description: 'One kind of problem.', examples: [exampleKind] },
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
