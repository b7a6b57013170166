import type { FastifyPluginAsyncTypebox } from '@fastify/type-provider-typebox';
import { originOf } from '../http/origin.ts';
import { presentUser } from '../identity/user-schema.ts';
import type { Services } from '../services.ts';
import { registerUser } from './register-user.ts';
import { Registered, registrationBody } from './schemas.ts';

type Needs = Parameters<typeof registerUser>[0];

/** Registration: anybody may open an account; it stays closed until its address is confirmed. */
export const registrationRoutes: FastifyPluginAsyncTypebox<Pick<Services, keyof Needs>> = async (app, services) => {
  app.route({
    method: 'POST',
    url: '/auth/register',
    config: {
      access: 'public',
      limit: 'registration',
      problems: ['weak_password', 'email_taken', 'username_taken'],
    },
    links: { 201: { logIn: { operationId: 'login', description: 'The new user may log in at once.' } } },
    schema: {
      operationId: 'register',
      tags: ['Accounts'],
      summary: 'Register an account',
      description: 'Creates an unconfirmed account and mails a link that confirms its address. The user may log in at once.',
      body: registrationBody(services.config.passwords.minLength),
      response: { 201: Registered },
    },
    onRequest: (_request, _reply, done) => done(services.hasher.refusal()),
    async handler(request, reply) {
      const registrant = { agent: originOf(request), acceptLanguage: request.headers['accept-language'] };
      const user = await registerUser(services, request.body, registrant);
      return reply.code(201).send({ user: presentUser(user) });
    },
  });
};
