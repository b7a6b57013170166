import type { FastifyPluginAsyncTypebox } from '@fastify/type-provider-typebox';
import { requireSession } from '../guard/plugin.ts';
import { originOf } from '../http/origin.ts';
import { tokenParams } from '../identity/member-schemas.ts';
import { wantsPage } from '../pages/negotiation.ts';
import { NoContent } from '../schemas.ts';
import type { Services } from '../services.ts';
import { changePassword } from './change-password.ts';
import { resetPages } from './reset-pages.ts';
import { requireResetToken, resetPassword } from './reset-password.ts';
import { createResetRequests } from './reset-requests.ts';
import { ForgottenBody, ForgottenResult, passwordChangeBody, ResetTokenResult, resetBody } from './schemas.ts';

/** Passwords: changed by who knows the old one, reset by who reads the mail. */
export const passwordRoutes: FastifyPluginAsyncTypebox<Services> = async (app, services) => {
  const tags = ['Passwords'];
  const { minLength } = services.config.passwords;
  const resetRequests = createResetRequests(services, app.log);
  app.addHook('onClose', resetRequests.close);
  const pages = resetPages(app, services, resetRequests);

  app.route({
    method: 'PUT',
    url: '/auth/password',
    config: { access: 'session', limit: 'password', problems: ['weak_password', 'wrong_password'] },
    schema: {
      operationId: 'changePassword',
      tags,
      summary: 'Change the password',
      description: 'Ends all other sessions; this one goes on. A pending address change and all links that were mailed before are void.',
      body: passwordChangeBody(minLength),
      response: { 204: NoContent('The new password is in force; a notice is on its way.') },
    },
    async handler(request, reply) {
      await changePassword(services, requireSession(request), request.body, originOf(request));
      return reply.code(204).send(null);
    },
  });

  app.route({
    method: 'POST',
    url: '/auth/password/forgot',
    config: { access: 'public', limit: 'forgot' },
    links: { 202: { reset: { operationId: 'resetPassword', description: 'With the token of the mailed link.' } } },
    schema: {
      operationId: 'forgotPassword',
      tags,
      summary: 'Ask for a mail that resets the password',
      description: 'Answers the same, and as fast, whether or not there is an account. At most three mails an hour go to one account.',
      body: ForgottenBody,
      response: { 202: ForgottenResult },
    },
    async handler(request, reply) {
      await resetRequests.accept(request.body.email, originOf(request));
      return reply.code(202).send({ expiresIn: services.config.tokens.actionTtlSeconds['password-reset'] });
    },
  });

  app.route({
    method: 'GET',
    url: '/auth/password/reset/:token',
    config: { access: 'public', page: true, takesMailedToken: true, problems: ['expired_token', 'used_token'] },
    links: { 200: { reset: { operationId: 'resetPassword', description: 'Sets the password, with the same token.' } } },
    schema: {
      operationId: 'getResetToken',
      tags,
      summary: 'Follow the link of a forgotten password',
      description: 'Only tells whether it works, and for whom; a page with a form for browsers.',
      params: tokenParams,
      response: { 200: ResetTokenResult },
    },
    async handler(request, reply) {
      const { token } = request.params;
      if (wantsPage(request)) return pages.follow(request, reply, token) as Promise<never>;
      const { owner, expiresAt } = await requireResetToken(services, token);
      return { email: owner.email, expiresAt: expiresAt.toISOString() };
    },
  });

  app.route({
    method: 'POST',
    url: '/auth/password/reset',
    config: {
      access: 'public',
      limit: 'password',
      takesMailedToken: true,
      problems: ['weak_password', 'expired_token', 'used_token'],
    },
    schema: {
      operationId: 'resetPassword',
      tags,
      summary: 'Set a new password with the mailed token',
      description:
        'Ends all sessions and opens none; a pending address change is void, and the address counts as confirmed. The token works once; a new password that is refused does not spend it.',
      body: resetBody(minLength),
      response: { 204: NoContent('The new password is in force; a notice is on its way.') },
    },
    async handler(request, reply) {
      await resetPassword(services, request.body, originOf(request));
      return reply.code(204).send(null);
    },
  });
};
