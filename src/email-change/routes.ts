import type { FastifyPluginAsyncTypebox } from '@fastify/type-provider-typebox';
import type { FastifyRequest } from 'fastify';
import { requireLinkOwner } from '../guard/link-owner.ts';
import { requireSession, unauthenticated } from '../guard/plugin.ts';
import { originOf } from '../http/origin.ts';
import { linkBody, tokenParams } from '../identity/member-schemas.ts';
import { presentUser } from '../identity/user-schema.ts';
import { isPrefetch, wantsPage } from '../pages/negotiation.ts';
import { SentOn } from '../schemas.ts';
import type { Services } from '../services.ts';
import { confirmEmailChange, requireTokenOwner } from './confirm-change.ts';
import { emailChangePages } from './link-pages.ts';
import { requestEmailChange } from './request-change.ts';
import { EmailChangeBody, EmailChanged, EmailChangeRequested } from './schemas.ts';

/** Another address: the old one rules until the new one is proven. */
export const emailChangeRoutes: FastifyPluginAsyncTypebox<Services> = async (app, services) => {
  const tags = ['E-mail change'];
  const linkPages = emailChangePages(app, services);

  app.route({
    method: 'POST',
    url: '/auth/email',
    config: { access: 'session', limit: 'password', problems: ['wrong_password', 'email_taken'] },
    links: { 202: { confirm: { operationId: 'confirmEmailChange', description: 'With the token of the mailed link.' } } },
    schema: {
      operationId: 'requestEmailChange',
      tags,
      summary: 'Ask for another address',
      description:
        'Mails a link to the new address and a notice to the old one, which stays in force until the link is followed. The link of an earlier request is void.',
      body: EmailChangeBody,
      response: { 202: EmailChangeRequested },
    },
    async handler(request, reply) {
      const pendingEmail = await requestEmailChange(services, requireSession(request), request.body, originOf(request));
      return reply.code(202).send({ pendingEmail, expiresIn: services.config.tokens.actionTtlSeconds['email-change'] });
    },
  });

  app.route({
    method: 'GET',
    url: '/auth/email/confirm/:token',
    config: {
      access: 'public',
      page: true,
      takesMailedToken: true,
      problems: ['unauthenticated', 'ambiguous_credentials', 'wrong_account', 'email_taken', 'expired_token', 'used_token'],
    },
    schema: {
      operationId: 'confirmEmailChangeByLink',
      tags,
      summary: 'Follow the link to the new address',
      description: "Gives the account that is logged in its new address, if the link is that account's. It works once.",
      params: tokenParams,
      response: { 200: EmailChanged, 303: SentOn },
    },
    async handler(request, reply) {
      const { token } = request.params;
      if (wantsPage(request)) return linkPages.follow(request, reply, token) as Promise<never>;
      if (isPrefetch(request)) throw unauthenticated(request);
      return confirm(request, token);
    },
  });

  app.route({
    method: 'POST',
    url: '/auth/email/confirm',
    config: {
      access: 'public',
      limit: 'password',
      takesMailedToken: true,
      problems: [
        'unauthenticated',
        'ambiguous_credentials',
        'cross_origin_rejected',
        'invalid_credentials',
        'wrong_account',
        'email_taken',
        'expired_token',
        'used_token',
      ],
    },
    schema: {
      operationId: 'confirmEmailChange',
      tags,
      summary: 'Confirm the new address with the token',
      description: 'The same for clients that took the token out of the link. With the password it works without a session.',
      body: linkBody,
      response: { 200: EmailChanged },
    },
    handler: (request) => confirm(request, request.body.token, request.body.password),
  });

  async function confirm(request: FastifyRequest, token: string, password?: string) {
    const owner = await requireTokenOwner(services, token);
    await requireLinkOwner({ ...services, guard: app.guard }, owner, request, password);
    const user = await confirmEmailChange(services, owner, originOf(request));
    return { user: presentUser(user), status: 'confirmed' as const };
  }
};
