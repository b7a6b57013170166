import type { FastifyPluginAsyncTypebox } from '@fastify/type-provider-typebox';
import type { FastifyReply, FastifyRequest } from 'fastify';
import { unauthenticated, unconfirmed } from '../guard/plugin.ts';
import { emailText, roleText, usernameText } from '../identity/member-schemas.ts';
import type { Problem } from '../problems/problem.ts';
import { maxUrlLength, NoContent, text, uuid } from '../schemas.ts';
import type { Services } from '../services.ts';
import { identityHeaders } from './identity-headers.ts';
import { createLoginAddress } from './login-address.ts';
import { createOriginalPath } from './original-path.ts';
import { findSomeSession } from './some-session.ts';

const loginRedirect =
  'For a browser, where `LOGIN_URL` is set: that address, with `next` if a trusted proxy has told a path in `X-Original-URI` or `X-Forwarded-Uri`. The proxy makes a redirect of it.';

/** Forward authentication: a proxy asks, for each request, whether it may pass and whose it is. */
export const gatewayRoutes: FastifyPluginAsyncTypebox<Pick<Services, 'config'>> = async (app, { config }) => {
  const loginAddressFor = createLoginAddress(config, createOriginalPath(config.server.trustedProxies));

  app.route({
    method: 'GET',
    url: '/auth/verify',
    config: {
      access: 'public',
      problems: ['unauthenticated', 'unconfirmed', 'service_unavailable'],
      answerHeaders: {
        204: { 'X-Auth-User-Id': uuid(), 'X-Auth-Username': usernameText, 'X-Auth-Email': emailText(), 'X-Auth-Role': roleText },
        401: { Location: text(maxUrlLength, loginRedirect) },
      },
    },
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
      // A proxy takes anything but 401 and 403 for a fault of ours: whatever is wrong with the credentials, there is no session.
      const session = await findSomeSession(app.guard, request);
      if (session === null) throw refuseNobody(request, reply);
      if (!session.confirmed) throw unconfirmed();
      return reply.code(204).headers(identityHeaders(session)).send(null);
    },
  });

  /** The status stays 401, since nginx takes a redirect for a fault; it is the proxy that makes one of the address. */
  function refuseNobody(request: FastifyRequest, reply: FastifyReply): Problem {
    const location = loginAddressFor(request);
    if (location !== undefined) reply.header('location', location);
    return unauthenticated(request);
  }
};
