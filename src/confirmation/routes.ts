import type { FastifyPluginAsyncTypebox } from '@fastify/type-provider-typebox';
import { Type } from '@sinclair/typebox';
import type { FastifyRequest } from 'fastify';
import { requireSession, unauthenticated } from '../guard/plugin.ts';
import { NoBody } from '../http/schemas.ts';
import { presentUser } from '../identity/user-schema.ts';
import { requireUser, type UserRow } from '../identity/users.ts';
import { Problem } from '../problems/problem.ts';
import type { Services } from '../services.ts';
import { type Confirmation, confirmAddress, requireTokenOwner } from './confirm-address.ts';
import { confirmationMailState, resendConfirmation } from './confirmation-mails.ts';
import { ConfirmationBody, ConfirmationParams, ConfirmationResult, ResendResult, UnconfirmedState } from './schemas.ts';

type Needs = Pick<Services, 'clock' | 'config' | 'actionTokens' | 'db' | 'hasher' | 'wakeMail'>;

/** Confirmation: a mailed link proves that an address is its owner's, for the account that is logged in. */
export const confirmationRoutes: FastifyPluginAsyncTypebox<Needs> = async (app, services) => {
  app.route({
    method: 'GET',
    url: '/auth/confirm/:token',
    config: { access: 'public', problems: ['invalid_token', 'unauthenticated', 'wrong_account', 'expired_token'] },
    schema: {
      operationId: 'confirmByLink',
      tags: ['Confirmation'],
      summary: 'Follow the mailed link',
      description:
        "Confirms the address of the account that is logged in, if the link is that account's. Works any number of times within its hour.",
      params: ConfirmationParams,
      response: { 200: ConfirmationResult },
    },
    async handler(request) {
      const owner = await requireTokenOwner(services, request.params.token);
      await requireSessionOf(owner, request);
      return present(await confirmAddress(services, owner));
    },
  });

  app.route({
    method: 'POST',
    url: '/auth/confirm',
    config: {
      access: 'public',
      problems: [
        'invalid_token',
        'unauthenticated',
        'invalid_credentials',
        'wrong_account',
        'expired_token',
        'rate_limited',
        'service_unavailable',
      ],
    },
    schema: {
      operationId: 'confirm',
      tags: ['Confirmation'],
      summary: 'Confirm with the token',
      description: 'The same for clients that took the token out of the link. With the password it works without a session.',
      body: ConfirmationBody,
      response: { 200: ConfirmationResult },
    },
    async handler(request) {
      const { token, password } = request.body;
      const owner = await requireTokenOwner(services, token);
      if (password === undefined) await requireSessionOf(owner, request);
      else await requirePasswordOf(owner, password);
      return present(await confirmAddress(services, owner));
    },
  });

  app.route({
    method: 'POST',
    url: '/auth/confirm/resend',
    config: { access: 'session', problems: ['already_confirmed', 'rate_limited'] },
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
      const retryAfter = await resendConfirmation(services, requireSession(request).userId);
      return reply.code(202).send({ retryAfter });
    },
  });

  app.route({
    method: 'GET',
    url: '/auth/unconfirmed',
    config: { access: 'session' },
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

  /** @throws Problem `unauthenticated`, or `wrong_account` for the session of somebody else */
  async function requireSessionOf(owner: UserRow, request: FastifyRequest): Promise<void> {
    const found = await app.guard.findSession(request);
    if (found === null) throw unauthenticated(request);
    if (found.userId !== owner.id) throw new Problem('wrong_account');
  }

  /** @throws Problem `invalid_credentials`, for a disabled account too */
  async function requirePasswordOf(owner: UserRow, password: string): Promise<void> {
    const matches = await services.hasher.verify(owner.passwordHash, password);
    if (!matches || owner.disabledAt !== null) throw new Problem('invalid_credentials');
  }
};

function present({ user, status }: Confirmation) {
  return { user: presentUser(user), status };
}
