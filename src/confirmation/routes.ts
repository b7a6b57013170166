import type { FastifyPluginAsyncTypebox } from '@fastify/type-provider-typebox';
import { Type } from '@sinclair/typebox';
import type { FastifyRequest } from 'fastify';
import { requireLinkOwner } from '../guard/link-owner.ts';
import { requireSession, unauthenticated } from '../guard/plugin.ts';
import { originOf } from '../http/origin.ts';
import { linkBody, tokenParams } from '../identity/member-schemas.ts';
import { presentUser } from '../identity/user-schema.ts';
import { requireUser } from '../identity/users.ts';
import { asksForJson, isPrefetch, wantsPage } from '../pages/negotiation.ts';
import { NoBody, SentOn } from '../schemas.ts';
import type { Services } from '../services.ts';
import { type Confirmation, confirmAddress, requireTokenOwner } from './confirm-address.ts';
import { confirmationMailState, resendConfirmation } from './confirmation-mails.ts';
import { disownRoutes } from './disown-routes.ts';
import { confirmationEvents } from './event-stream.ts';
import { confirmationPages } from './link-pages.ts';
import { ConfirmationResult, ResendResult, UnconfirmedState } from './schemas.ts';

/** Confirmation: a mailed link proves that an address is its owner's, for the account that is logged in. */
export const confirmationRoutes: FastifyPluginAsyncTypebox<Services> = async (app, services) => {
  const acceptsBareLink = services.config.confirmPolicy === 'link';
  const linkPages = confirmationPages(app, services);
  const ownership = { ...services, guard: app.guard };
  app.register(disownRoutes, services);
  app.register(confirmationEvents, services);

  app.route({
    method: 'GET',
    url: '/auth/confirm/:token',
    config: {
      access: 'public',
      page: true,
      takesMailedToken: true,
      problems: ['unauthenticated', 'ambiguous_credentials', 'wrong_account', 'expired_token'],
    },
    schema: {
      operationId: 'confirmByLink',
      tags: ['Confirmation'],
      summary: 'Follow the mailed link',
      description:
        "Confirms the address of the account that is logged in, if the link is that account's. Works any number of times within its hour. Browsers get a page, or are sent on to `APP_URL`.",
      params: tokenParams,
      response: { 200: ConfirmationResult, 303: SentOn },
    },
    async handler(request, reply) {
      const { token } = request.params;
      if (wantsPage(request)) return linkPages.follow(request, reply, token) as Promise<never>;
      const owner = await requireTokenOwner(services, token);
      if (isPrefetch(request)) throw unauthenticated(request);
      // Whatever else fetches links, such as the scanner of a mail server, does not ask for JSON.
      const suffices = acceptsBareLink && asksForJson(request) && (await isNobody(request));
      if (!suffices) await requireLinkOwner(ownership, owner, request);
      return present(await confirmAddress(services, owner, originOf(request)));
    },
  });

  app.route({
    method: 'POST',
    url: '/auth/confirm',
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
        'expired_token',
      ],
    },
    schema: {
      operationId: 'confirm',
      tags: ['Confirmation'],
      summary: 'Confirm with the token',
      description: 'The same for clients that took the token out of the link. With the password it works without a session.',
      body: linkBody,
      response: { 200: ConfirmationResult },
    },
    async handler(request) {
      const { token, password } = request.body;
      const owner = await requireTokenOwner(services, token);
      const suffices = acceptsBareLink && password === undefined && (await isNobody(request));
      if (!suffices) await requireLinkOwner(ownership, owner, request, password);
      return present(await confirmAddress(services, owner, originOf(request)));
    },
  });

  app.route({
    method: 'POST',
    url: '/auth/confirm/resend',
    config: { access: 'session', problems: ['already_confirmed', 'rate_limited'] },
    links: { 202: { wait: { operationId: 'awaitConfirmation', description: 'Tells when it has happened.' } } },
    schema: {
      operationId: 'resendConfirmation',
      tags: ['Confirmation'],
      summary: 'Ask for another mail',
      description:
        "Only ever to the session's own address: once a minute, five times an hour, ten times a day. Links of earlier mails go on working.",
      body: NoBody,
      response: { 202: ResendResult },
    },
    async handler(request, reply) {
      const retryAfter = await resendConfirmation(services, requireSession(request).userId, originOf(request));
      return reply.code(202).send({ retryAfter });
    },
  });

  app.route({
    method: 'GET',
    url: '/auth/unconfirmed',
    config: { access: 'session' },
    links: {
      200: {
        resend: { operationId: 'resendConfirmation', description: 'Another mail, from `resendAvailableAt` on.' },
        wait: { operationId: 'awaitConfirmation', description: 'Tells when it has happened.' },
      },
    },
    schema: {
      operationId: 'getUnconfirmed',
      tags: ['Confirmation'],
      summary: 'What an unconfirmed user waits for',
      description: 'Whether the newest mail is queued, sent or failed, and when another may be asked for.',
      response: { 200: UnconfirmedState, 303: Type.Null({ description: 'The address is confirmed: there is nothing to wait for.' }) },
    },
    async handler(request, reply) {
      const user = await requireUser(services.db, requireSession(request).userId);
      if (user.confirmedAt !== null) return reply.redirect('/', 303);
      const { newest, resendAvailableAt } = await confirmationMailState(services, user);
      const at = newest?.settledAt ?? newest?.createdAt ?? user.createdAt;
      const status = newest?.status === 'queued' || newest?.status === 'sent' ? newest.status : 'failed';
      return reply.send({ email: user.email, mail: { status, at: at.toISOString() }, resendAvailableAt: resendAvailableAt.toISOString() });
    },
  });

  /** Whether a request comes without a session: then the bare link may do. With one, it must be the right one. */
  async function isNobody(request: FastifyRequest): Promise<boolean> {
    return (await app.guard.findSession(request)) === null;
  }
};

function present({ user, status }: Confirmation) {
  return { user: presentUser(user), status };
}
