import type { FastifyPluginAsyncTypebox } from '@fastify/type-provider-typebox';
import { isDatabaseUnavailable } from '../db/unavailable.ts';
import { clearedCookies, clearSessionCookies } from '../guard/cookies.ts';
import { requireSession } from '../guard/plugin.ts';
import { originOf } from '../http/origin.ts';
import { cursorOf, limitOf, readPage } from '../http/paging.ts';
import { presentEvent } from '../identity/event-schema.ts';
import { findEvents } from '../identity/events.ts';
import { presentUser } from '../identity/user-schema.ts';
import { requireUser } from '../identity/users.ts';
import { Problem } from '../problems/problem.ts';
import { NoContent } from '../schemas.ts';
import type { Services } from '../services.ts';
import { deleteAccount } from './delete-account.ts';
import { createExports } from './export-stream.ts';
import { AccountExport, AccountResult, DeletionBody, EventPage, EventQuery, ProfileBody } from './schemas.ts';
import { updateProfile } from './update-profile.ts';

/** The account in its owner's hands. */
export const accountRoutes: FastifyPluginAsyncTypebox<Services> = async (app, services) => {
  const tags = ['Accounts'];
  const { db } = services;
  const openExport = createExports(services);

  app.route({
    method: 'GET',
    url: '/auth/me',
    config: { access: 'session' },
    schema: {
      operationId: 'getMe',
      tags,
      summary: 'Who is logged in',
      description: 'The account of this session, read fresh. Works before the address is confirmed.',
      response: { 200: AccountResult },
    },
    async handler(request) {
      return { user: presentUser(await requireUser(db, requireSession(request).userId)) };
    },
  });

  app.route({
    method: 'PATCH',
    url: '/auth/me',
    config: { access: 'session', problems: ['username_taken', 'rate_limited'] },
    schema: {
      operationId: 'updateMe',
      tags,
      summary: 'Change the user name or the language of mails',
      description:
        'What is not named stays as it is. At most ten other names a day. Access tokens tell a new name from their next refresh on.',
      body: ProfileBody,
      response: { 200: AccountResult },
    },
    async handler(request) {
      const user = await updateProfile(services, requireSession(request).userId, request.body, originOf(request));
      return { user: presentUser(user) };
    },
  });

  app.route({
    method: 'POST',
    url: '/auth/me/deletion',
    config: {
      access: 'session',
      limit: 'password',
      problems: ['wrong_password', 'last_administrator'],
      answerHeaders: { 204: clearedCookies },
    },
    schema: {
      operationId: 'deleteMe',
      tags,
      summary: 'Delete the account',
      description: 'At once and for good, with sessions, events and mails. Cookies are cleared.',
      body: DeletionBody,
      response: { 204: NoContent('The account is gone.') },
    },
    async handler(request, reply) {
      const session = requireSession(request);
      const { userId } = session;
      await deleteAccount(services, session, request.body.password, originOf(request));
      // Its events are gone with it.
      request.log.info({ userId }, 'an account was deleted by its owner');
      clearSessionCookies(reply, services.sessionCookies);
      return reply.code(204).send(null);
    },
  });

  app.route({
    method: 'GET',
    url: '/auth/me/export',
    config: { access: 'session', problems: ['rate_limited'] },
    schema: {
      operationId: 'exportMe',
      tags,
      summary: 'All that is stored about the user',
      description: 'At most ten times an hour, one at a time. An answer that breaks off is not all.',
      response: { 200: AccountExport },
    },
    async handler(request, reply) {
      const { userId } = requireSession(request);
      const serialize = (document: AccountExport) => String(reply.serialize(document));
      const stream = await openExport({ userId, ip: request.ip, serialize });
      // Once the answer is under way, nobody else tells of it.
      stream.once('error', (err) => {
        if (reply.raw.headersSent) request.log[isForeseen(err) ? 'warn' : 'error']({ err }, 'an export broke off');
      });
      return reply.type('application/json; charset=utf-8').send(stream as never);
    },
  });

  app.route({
    method: 'GET',
    url: '/auth/events',
    config: { access: 'session' },
    links: {
      200: { next: { operationId: 'listEvents', parameters: { cursor: '$response.body#/nextCursor' }, description: 'The next page.' } },
    },
    schema: {
      operationId: 'listEvents',
      tags,
      summary: 'What happened to the account',
      description: 'Logins that failed, links that were followed, mails that were sent, and so on, for as long as they are kept.',
      querystring: EventQuery,
      response: { 200: EventPage },
    },
    async handler(request) {
      const { userId } = requireSession(request);
      const page = await readPage(limitOf(request.query), (limit) => findEvents(db, userId, { limit, before: cursorOf(request.query) }));
      return { events: page.rows.map(presentEvent), nextCursor: page.nextCursor };
    },
  });
};

function isForeseen(error: unknown): boolean {
  return error instanceof Problem || isDatabaseUnavailable(error);
}
