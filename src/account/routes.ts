import type { FastifyPluginAsyncTypebox } from '@fastify/type-provider-typebox';
import { requireSession } from '../guard/plugin.ts';
import { strictObject } from '../http/schemas.ts';
import { presentUser, User } from '../identity/user-schema.ts';
import { requireUser } from '../identity/users.ts';
import type { Services } from '../services.ts';

/** The account, as its owner sees it. */
export const accountRoutes: FastifyPluginAsyncTypebox<Pick<Services, 'db'>> = async (app, { db }) => {
  app.route({
    method: 'GET',
    url: '/auth/me',
    config: { access: 'session' },
    schema: {
      operationId: 'getMe',
      tags: ['Accounts'],
      summary: 'Who is logged in',
      description: 'The account of this session, read fresh. Works before the address is confirmed.',
      response: { 200: strictObject({ user: User }, { description: 'The account.' }) },
    },
    async handler(request) {
      return { user: presentUser(await requireUser(db, requireSession(request).userId)) };
    },
  });
};
