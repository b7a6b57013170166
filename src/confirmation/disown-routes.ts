import type { FastifyPluginAsyncTypebox } from '@fastify/type-provider-typebox';
import type { Static } from '@sinclair/typebox';
import type { FastifyReply } from 'fastify';
import { emailText, exampleToken, tokenMember, tokenParams } from '../identity/member-schemas.ts';
import { acceptForms, proofMember } from '../pages/forms.ts';
import { requireRefusal, sendFailure, type Visit } from '../pages/link-views.ts';
import { wantsPage } from '../pages/negotiation.ts';
import { NoContent, strictObject, time } from '../schemas.ts';
import type { Services } from '../services.ts';
import { disown, requireDisownable } from './disown.ts';

const DisownBody = strictObject({ token: tokenMember }, { examples: [{ token: exampleToken }] });
const FormBody = strictObject({ proof: proofMember });
const Disownable = strictObject(
  {
    email: emailText(),
    createdAt: time('When somebody registered with it.'),
  },
  {
    description: 'There is an unconfirmed account with this address, which can be cancelled.',
    examples: [{ email: 'ada@example.com', createdAt: '2026-11-20T18:45:00.000Z' }],
  },
);

/** "This was not me": for the owner of an address with which somebody else has registered. */
export const disownRoutes: FastifyPluginAsyncTypebox<Services> = async (app, services) => {
  const tags = ['Confirmation'];
  const { formProofs, limits, pages } = services;
  const actionOf = (token: string) => `/auth/disown/${token}`;

  app.route({
    method: 'GET',
    url: '/auth/disown/:token',
    config: { access: 'public', page: true, takesMailedToken: true, problems: ['already_confirmed', 'expired_token'] },
    links: { 200: { disown: { operationId: 'disown', description: 'Cancels the account, with the same token.' } } },
    schema: {
      operationId: 'getDisownable',
      tags,
      summary: 'Follow the link "this was not me"',
      description: 'Only tells; a page with a button for browsers.',
      params: tokenParams,
      response: { 200: Disownable },
    },
    async handler(request, reply) {
      const { token } = request.params;
      if (wantsPage(request)) return show({ request, reply, token }, () => ask({ request, reply, token }));
      const { email, createdAt } = await requireDisownable(services, token);
      return { email, createdAt: createdAt.toISOString() };
    },
  });

  app.route({
    method: 'POST',
    url: '/auth/disown',
    config: { access: 'public', takesMailedToken: true, problems: ['already_confirmed', 'expired_token'] },
    schema: {
      operationId: 'disown',
      tags,
      summary: 'Cancel an account that is not one’s own',
      description: 'Deletes the unconfirmed account and its sessions. The address gets no confirmation mail for a day.',
      body: DisownBody,
      response: { 204: NoContent('The account is cancelled.') },
    },
    async handler(request, reply) {
      const { id: userId } = await disown(services, request.body.token);
      request.log.info({ userId }, 'an account was cancelled by the owner of its address');
      return reply.code(204).send(null);
    },
  });

  app.register(async (forms) => {
    acceptForms(forms);
    forms.route<{ Params: { token: string }; Body: Static<typeof FormBody> }>({
      method: 'POST',
      url: '/auth/disown/:token',
      config: { access: 'public' },
      schema: { hide: true, params: tokenParams, body: FormBody },
      handler(request, reply) {
        const visit = { request, reply, token: request.params.token };
        return show(visit, () => submit(visit, request.body.proof));
      },
    });
  });

  async function ask({ request, reply, token }: Visit, alert?: string) {
    const { email } = await requireDisownable(services, token);
    return pages.send(request, reply, { kind: 'disown', facts: { email }, form: { action: actionOf(token), sessionId: undefined }, alert });
  }

  async function submit(visit: Visit, proof: string) {
    const { request, reply, token } = visit;
    if (!formProofs.isGenuine(proof, actionOf(token), undefined)) return ask(visit, pages.words(request).errors.out_of_date);
    const { id: userId, email } = await disown(services, token);
    request.log.info({ userId }, 'an account was cancelled by the owner of its address');
    return pages.send(request, reply, { kind: 'disowned', facts: { email } });
  }

  /** Shows every refusal as a page. */
  async function show(visit: Visit, work: () => Promise<FastifyReply>): Promise<never> {
    return work().catch(async (refusal: unknown) => {
      const error = requireRefusal(await limits.tokens.judge(refusal, visit.request.ip), visit.request);
      const { code, status } = error;
      if (code === 'already_confirmed') return pages.send(visit.request, visit.reply, { kind: 'disown_confirmed', status });
      const isDead = code === 'invalid_token' || code === 'expired_token';
      return isDead ? pages.send(visit.request, visit.reply, { kind: 'invalid', status }) : sendFailure(services, visit, error);
    }) as Promise<never>;
  }
};
