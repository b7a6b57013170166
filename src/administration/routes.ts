import type { FastifyPluginAsyncTypebox } from '@fastify/type-provider-typebox';
import { requireSession } from '../guard/plugin.ts';
import { cursorOf, limitOf, readPage } from '../http/paging.ts';
import { findEvents } from '../identity/events.ts';
import { findUserById, type UserRow } from '../identity/users.ts';
import { Problem } from '../problems/problem.ts';
import { NoContent } from '../schemas.ts';
import type { Services } from '../services.ts';
import { listUsers } from './list-users.ts';
import { changeUser, deleteUser, endUserSessions } from './manage-user.ts';
import {
  EventPage,
  EventQuery,
  presentManagedEvent,
  presentManagedUser,
  UserChangesBody,
  UserPage,
  UserParams,
  UserQuery,
  UserResult,
} from './schemas.ts';

/** Administration: what users with the role `admin` do to others. */
export const administrationRoutes: FastifyPluginAsyncTypebox<Services> = async (app, services) => {
  const tags = ['Administration'];
  const { db } = services;

  app.route({
    method: 'GET',
    url: '/admin/users',
    config: { role: 'admin' },
    links: {
      200: {
        show: { operationId: 'getUser', parameters: { id: '$response.body#/users/0/id' }, description: 'One of them.' },
        next: { operationId: 'listUsers', parameters: { cursor: '$response.body#/nextCursor' }, description: 'The next page.' },
      },
    },
    schema: {
      operationId: 'listUsers',
      tags,
      summary: 'The users',
      description: 'In pages, in the order in which they registered; with `q` those whose address or name has it.',
      querystring: UserQuery,
      response: { 200: UserPage },
    },
    async handler(request) {
      const { q } = request.query;
      const page = await readPage(limitOf(request.query), (limit) => listUsers(db, { q, limit, after: cursorOf(request.query) }));
      return { users: page.rows.map(presentManagedUser), nextCursor: page.nextCursor };
    },
  });

  app.route({
    method: 'GET',
    url: '/admin/users/:id',
    config: { role: 'admin', problems: ['not_found'] },
    links: {
      200: {
        change: {
          operationId: 'changeUser',
          parameters: { id: '$request.path.id' },
          description: 'Confirms, disables or promotes the user.',
        },
        events: { operationId: 'listUserEvents', parameters: { id: '$request.path.id' }, description: 'What happened to the account.' },
        logOut: { operationId: 'endUserSessions', parameters: { id: '$request.path.id' }, description: 'Logs the user out everywhere.' },
      },
    },
    schema: {
      operationId: 'getUser',
      tags,
      summary: 'One user',
      description: 'The user, as the database has it now.',
      params: UserParams,
      response: { 200: UserResult },
    },
    async handler(request) {
      return { user: presentManagedUser(await requireUserById(request.params.id)) };
    },
  });

  app.route({
    method: 'PATCH',
    url: '/admin/users/:id',
    config: { role: 'admin', problems: ['not_found', 'last_administrator'] },
    schema: {
      operationId: 'changeUser',
      tags,
      summary: 'Confirm, disable or enable a user, or change their role',
      description: 'All of it or nothing. Who is disabled or enabled, or gets another role, is logged out everywhere.',
      params: UserParams,
      body: UserChangesBody,
      response: { 200: UserResult },
    },
    async handler(request) {
      const user = await changeUser(services, request.params.id, request.body, { actorId: requireSession(request).userId });
      return { user: presentManagedUser(user) };
    },
  });

  app.route({
    method: 'DELETE',
    url: '/admin/users/:id',
    config: { role: 'admin', problems: ['not_found', 'last_administrator'] },
    schema: {
      operationId: 'deleteUser',
      tags,
      summary: 'Delete a user',
      description: 'At once and for good, with sessions, events and mails.',
      params: UserParams,
      response: { 204: NoContent('The account is gone.') },
    },
    async handler(request, reply) {
      const { id } = request.params;
      await deleteUser(services, { id });
      request.log.info({ userId: id, actorId: requireSession(request).userId }, 'an administrator has deleted an account');
      return reply.code(204).send(null);
    },
  });

  app.route({
    method: 'GET',
    url: '/admin/users/:id/events',
    config: { role: 'admin', problems: ['not_found'] },
    links: {
      200: {
        next: {
          operationId: 'listUserEvents',
          parameters: { id: '$request.path.id', cursor: '$response.body#/nextCursor' },
          description: 'The next page.',
        },
      },
    },
    schema: {
      operationId: 'listUserEvents',
      tags,
      summary: 'What happened to an account',
      description: 'In pages, newest first, with the administrator who did what an administrator did.',
      params: UserParams,
      querystring: EventQuery,
      response: { 200: EventPage },
    },
    async handler(request) {
      const { id } = await requireUserById(request.params.id);
      const page = await readPage(limitOf(request.query), (limit) => findEvents(db, id, { limit, before: cursorOf(request.query) }));
      return { events: page.rows.map(presentManagedEvent), nextCursor: page.nextCursor };
    },
  });

  app.route({
    method: 'DELETE',
    url: '/admin/users/:id/sessions',
    config: { role: 'admin', problems: ['not_found'] },
    schema: {
      operationId: 'endUserSessions',
      tags,
      summary: 'Log a user out everywhere',
      description: 'Ends all sessions of the user: on this instance at once, on others within a second.',
      params: UserParams,
      response: { 204: NoContent('All sessions of the user are over.') },
    },
    async handler(request, reply) {
      const user = await requireUserById(request.params.id);
      await endUserSessions(services, user, { actorId: requireSession(request).userId });
      return reply.code(204).send(null);
    },
  });

  /** @throws Problem `not_found` */
  async function requireUserById(id: string): Promise<UserRow> {
    const user = await findUserById(db, id);
    if (user === undefined) throw new Problem('not_found');
    return user;
  }
};
