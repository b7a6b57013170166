import type { FastifyPluginAsyncTypebox } from '@fastify/type-provider-typebox';
import type { FastifyRequest } from 'fastify';
import type { FoundSession } from '../guard/find-session.ts';
import { unauthenticated, unconfirmed } from '../guard/plugin.ts';
import { Problem } from '../problems/problem.ts';
import { NoContent } from '../schemas.ts';

/** Forward authentication: a proxy asks, for each request, whether it may pass and whose it is. */
export const gatewayRoutes: FastifyPluginAsyncTypebox = async (app) => {
  app.route({
    method: 'GET',
    url: '/auth/verify',
    config: { access: 'public', problems: ['unauthenticated', 'unconfirmed', 'service_unavailable'] },
    schema: {
      operationId: 'verify',
      tags: ['Gateway'],
      summary: 'Whether a request may pass',
      description:
        'For a proxy such as nginx (`auth_request`): 204 for a confirmed user, whose identity is in the headers; else exactly 401 or 403, and 503 when it cannot tell.',
      response: {
        204: NoContent('The request may pass. `X-Auth-User-Id`, `X-Auth-Username`, `X-Auth-Email` and `X-Auth-Role` say whose it is.'),
      },
    },
    async handler(request, reply) {
      const session = await findSession(request);
      if (session === null) throw unauthenticated(request);
      if (!session.confirmed) throw unconfirmed();
      return reply
        .code(204)
        .headers({
          'x-auth-user-id': session.userId,
          'x-auth-username': session.username,
          'x-auth-email': session.email,
          'x-auth-role': session.role,
        })
        .send(null);
    },
  });

  /** A proxy takes anything but 401 and 403 for a fault of ours: whatever is wrong with the credentials, there is no session. */
  async function findSession(request: FastifyRequest): Promise<FoundSession | null> {
    try {
      return await app.guard.findSession(request);
    } catch (error) {
      if (error instanceof Problem && error.status < 500) return null;
      throw error;
    }
  }
};
