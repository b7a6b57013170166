import type { FastifyPluginAsyncTypebox } from '@fastify/type-provider-typebox';
import { Type } from '@sinclair/typebox';
import { sql } from 'drizzle-orm';
import { Problem } from '../problems/problem.ts';
import { strictObject } from '../schemas.ts';
import type { Services } from '../services.ts';

const Liveness = strictObject({ status: Type.Literal('ok') }, { description: 'The process runs.', examples: [{ status: 'ok' }] });
const Readiness = strictObject(
  {
    status: Type.Literal('ok'),
    mail: Type.Union([Type.Literal('ok'), Type.Literal('unreachable'), Type.Literal('held')], {
      description:
        'Whether mails go out. `unreachable`: the mail server does not answer. `held`: credentials, TLS or sender have to be mended. ' +
        'Mails wait in the queue meanwhile and requests are served, so that this alone does not make the service unready.',
    }),
  },
  { description: 'Requests can be served.', examples: [{ status: 'ok', mail: 'ok' }] },
);

/** What a client is told to wait when the service is not ready. */
const retryAfterSeconds = 5;

/** Live: the process answers. Ready: what it needs answers, too. */
export const healthRoutes: FastifyPluginAsyncTypebox<Pick<Services, 'db' | 'mailOutage'>> = async (app, { db, mailOutage }) => {
  app.route({
    method: 'GET',
    url: '/health/live',
    config: { access: 'public' },
    exposeHeadRoute: true,
    schema: {
      operationId: 'getLiveness',
      tags: ['Operations'],
      summary: 'Whether the process runs',
      description: 'Asks nothing of anybody else: whoever gets no answer may start the process anew.',
      response: { 200: Liveness },
    },
    handler: async () => ({ status: 'ok' as const }),
  });

  app.route({
    method: 'GET',
    url: '/health/ready',
    config: { access: 'public', problems: ['service_unavailable'] },
    exposeHeadRoute: true,
    schema: {
      operationId: 'getReadiness',
      tags: ['Operations'],
      summary: 'Whether requests can be served',
      description: 'Whether the database answers; and, for information, whether mails go out.',
      response: { 200: Readiness },
    },
    async handler() {
      try {
        await db.execute(sql`select 1`);
      } catch (cause) {
        throw new Problem('service_unavailable', { cause, retryAfterSeconds, extensions: { down: ['database'] } });
      }
      return { status: 'ok' as const, mail: mailOutage()?.state ?? ('ok' as const) };
    },
  });
};
