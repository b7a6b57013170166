import type { FastifyPluginAsyncTypebox } from '@fastify/type-provider-typebox';
import { Type } from '@sinclair/typebox';
import { Problem } from '../problems/problem.ts';
import { strictObject } from '../schemas.ts';
import type { Services } from '../services.ts';
import { createReadinessCheck } from './readiness.ts';

const Liveness = strictObject({ status: Type.Literal('ok') }, { description: 'The process runs.', examples: [{ status: 'ok' }] });
const ok = (description: string) => Type.Literal('ok', { description });
const ReadinessSchema = strictObject(
  {
    status: Type.Literal('ok'),
    database: ok('The database answers.'),
    migrations: ok('It has the schema that this version needs.'),
    signing_key: ok('Access tokens can be signed.'),
    mail: Type.Union([Type.Literal('ok'), Type.Literal('unreachable'), Type.Literal('held')], {
      description:
        'Whether mails go out. `unreachable`: the mail server does not answer. `held`: credentials, TLS or sender have to be mended. ' +
        'Mails wait in the queue meanwhile and requests are served, so that this alone does not make the service unready.',
    }),
  },
  { description: 'Requests can be served.', examples: [{ status: 'ok', database: 'ok', migrations: 'ok', signing_key: 'ok', mail: 'ok' }] },
);

/** What a client is told to wait when the service is not ready. */
const retryAfterSeconds = 5;

/** Live: the process answers. Ready: what it needs is there, too, and it is not about to end. */
export const healthRoutes: FastifyPluginAsyncTypebox<Pick<Services, 'db' | 'keyRing' | 'mailOutage'>> = async (app, services) => {
  const { mailOutage } = services;
  const checkReadiness = await createReadinessCheck(services);

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
      description:
        'Whether the database answers and has the right schema, and a key to sign with is there; and, for information, whether mails go out. ' +
        'Otherwise `down` names what is missing, or `shutdown` when the service is about to end. Costs nothing to ask: it looks once a second.',
      response: { 200: ReadinessSchema },
    },
    async handler() {
      const { down, cause } = app.isEnding ? { down: ['shutdown'], cause: undefined } : await checkReadiness();
      if (down.length > 0) throw new Problem('service_unavailable', { cause, retryAfterSeconds, extensions: { down } });
      const mail = mailOutage()?.state ?? ('ok' as const);
      return { status: 'ok', database: 'ok', migrations: 'ok', signing_key: 'ok', mail } as const;
    },
  });
};
