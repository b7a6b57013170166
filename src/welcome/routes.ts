import type { FastifyPluginAsyncTypebox } from '@fastify/type-provider-typebox';
import { strictObject, text } from '../schemas.ts';

const Message = strictObject({ message: text(100) }, { description: 'A greeting.', examples: [{ message: 'Hello, ada!' }] });

/** A sample of an application's own routes: one for all but the unconfirmed, and one that the guard keeps. */
export const welcomeRoutes: FastifyPluginAsyncTypebox = async (app) => {
  app.route({
    method: 'GET',
    url: '/',
    config: { access: 'visitor' },
    schema: {
      operationId: 'getWelcome',
      tags: ['Sample'],
      summary: 'A greeting for visitors and confirmed users',
      description: 'A sample of a route that is open to all but the unconfirmed.',
      response: { 200: Message },
    },
    async handler(request) {
      return { message: `Hello, ${request.session?.username ?? 'Stranger'}!` };
    },
  });

  // No access level: closed to all but confirmed users, as every route is that says nothing.
  app.route({
    method: 'GET',
    url: '/secret',
    schema: {
      operationId: 'getSecret',
      tags: ['Sample'],
      summary: 'A guarded route',
      description: 'A sample of a route that says nothing of who may use it, and so is closed to all but confirmed users.',
      response: { 200: Message },
    },
    async handler() {
      return { message: 'Only confirmed users are allowed!' };
    },
  });
};
