import { type Static, Type } from '@sinclair/typebox';
import type { FastifyInstance, FastifyReply, FastifyRequest } from 'fastify';
import { codePoints, maxPasswordLength } from '../credentials/password-length.ts';
import { originOf } from '../http/origin.ts';
import { tokenParams } from '../identity/member-schemas.ts';
import { findUserById, linkState, type UserRow } from '../identity/users.ts';
import { acceptForms, proofMember } from '../pages/forms.ts';
import { requireRefusal, sendFailure, type Visit } from '../pages/link-views.ts';
import { accountField } from '../pages/pages.ts';
import type { Field } from '../pages/templates.ts';
import { Problem } from '../problems/problem.ts';
import { strictObject } from '../schemas.ts';
import type { Services } from '../services.ts';
import { requireResetToken, resetPassword } from './reset-password.ts';
import type { ResetRequests } from './reset-requests.ts';

const path = '/auth/password/reset';
// What is too short or too long is said on the page.
const FormBody = strictObject({
  proof: proofMember,
  email: Type.Optional(Type.String()),
  newPassword: Type.String(),
  newPasswordConfirmation: Type.String(),
});
type Form = Static<typeof FormBody>;
const ResendBody = strictObject({ proof: proofMember });

/** What is wrong with the inputs of the form. */
interface Faults {
  readonly newPassword?: string;
  readonly newPasswordConfirmation?: string;
}

/** The pages of the link in the mail for a forgotten password. */
export function resetPages(app: FastifyInstance, services: Services, resetRequests: ResetRequests) {
  const { actionTokens, config, db, formProofs, limits, pages } = services;
  const { minLength } = config.passwords;
  const actionOf = (token: string) => `${path}/${token}`;

  function sendForm({ request, reply, token }: Visit, owner: UserRow, faults?: Faults, alert?: string): FastifyReply {
    const words = pages.words(request, owner.locale);
    const input = (name: keyof Faults): Field => {
      return { name, type: 'password', label: words[name], autocomplete: 'new-password', error: faults?.[name] };
    };
    const fields = [accountField(words, owner.email), input('newPassword'), input('newPasswordConfirmation')];
    const form = { action: actionOf(token), sessionId: undefined, fields };
    return pages.send(
      request,
      reply,
      { kind: 'reset', status: faults === undefined ? 200 : 400, facts: { email: owner.email }, form, alert },
      owner.locale,
    );
  }

  function faultsOf({ newPassword, newPasswordConfirmation }: Form, request: FastifyRequest, owner: UserRow): Faults | undefined {
    const { errors } = pages.words(request, owner.locale);
    const length = codePoints(newPassword);
    if (length < minLength || length > maxPasswordLength) return { newPassword: errors.length(minLength, maxPasswordLength) };
    return newPassword === newPasswordConfirmation ? undefined : { newPasswordConfirmation: errors.mismatch };
  }

  async function submit(visit: Visit, body: Form): Promise<FastifyReply> {
    const { request, reply, token } = visit;
    const { owner } = await requireResetToken(services, token);
    const { errors } = pages.words(request, owner.locale);
    if (!formProofs.isGenuine(body.proof, actionOf(token), undefined)) return sendForm(visit, owner, undefined, errors.out_of_date);
    const faults = faultsOf(body, request, owner);
    if (faults !== undefined) return sendForm(visit, owner, faults);
    await app.limitRequest('password', request, reply);
    try {
      await resetPassword(services, { token, newPassword: body.newPassword }, originOf(request));
    } catch (error) {
      if (!(error instanceof Problem) || error.code !== 'weak_password') throw error;
      return sendForm(visit, owner, { newPassword: errors.weak_password });
    }
    return pages.send(request, reply, { kind: 'reset_done', isEnd: true }, owner.locale);
  }

  /** Offers another mail for a link whose time is over: to whoever has it, as anybody may ask for one. */
  async function sendExpired({ request, reply, token }: Visit, alert?: string): Promise<FastifyReply> {
    const owner = await requireFormerOwner(token);
    const form = { action: `${actionOf(token)}/resend`, sessionId: undefined };
    return pages.send(request, reply, { kind: 'reset_expired', status: 410, facts: { email: owner.email }, form, alert }, owner.locale);
  }

  async function resend(visit: Visit, { proof }: Pick<Form, 'proof'>): Promise<FastifyReply> {
    const { request, reply, token } = visit;
    const owner = await requireFormerOwner(token);
    const isGenuine = formProofs.isGenuine(proof, `${actionOf(token)}/resend`, undefined);
    if (!isGenuine) return sendExpired(visit, pages.words(request, owner.locale).errors.out_of_date);
    await app.limitRequest('forgot', request, reply);
    await resetRequests.accept(owner.email, originOf(request));
    return pages.send(request, reply, { kind: 'mail_sent', facts: { email: owner.email } }, owner.locale);
  }

  /** Not of a link that was used: by now the account may have an address that whoever has this link must not learn. */
  async function requireFormerOwner(token: string): Promise<UserRow> {
    const tokens = actionTokens['password-reset'];
    const claims = tokens.peek(token);
    const user = await findUserById(db, claims.sub);
    if (user === undefined) throw new Problem('invalid_token');
    if (user.disabledAt !== null || !tokens.isSignedOver(claims, linkState['password-reset'](user))) throw new Problem('used_token');
    return user;
  }

  /** Shows every refusal as a page. */
  async function show(visit: Visit, work: () => Promise<FastifyReply>): Promise<FastifyReply> {
    try {
      return await work();
    } catch (refusal) {
      const error = requireRefusal(await limits.tokens.judge(refusal, visit.request.ip), visit.request);
      const { code, status } = error;
      if (code === 'expired_token') return show(visit, () => sendExpired(visit));
      if (code === 'used_token') return pages.send(visit.request, visit.reply, { kind: 'reset_used', status, isEnd: true });
      if (code === 'invalid_token') return pages.send(visit.request, visit.reply, { kind: 'invalid', status, isEnd: true });
      return sendFailure(services, visit, error);
    }
  }

  app.register(async (forms) => {
    acceptForms(forms);
    const common = { method: 'POST', config: { access: 'public' } } as const;
    forms.route<{ Params: { token: string }; Body: Form }>({
      ...common,
      url: `${path}/:token`,
      schema: { hide: true, params: tokenParams, body: FormBody },
      handler: (request, reply) => {
        const visit = { request, reply, token: request.params.token };
        return show(visit, () => submit(visit, request.body));
      },
    });
    forms.route<{ Params: { token: string }; Body: Static<typeof ResendBody> }>({
      ...common,
      url: `${path}/:token/resend`,
      schema: { hide: true, params: tokenParams, body: ResendBody },
      handler: (request, reply) => {
        const visit = { request, reply, token: request.params.token };
        return show(visit, () => resend(visit, request.body));
      },
    });
  });

  return {
    /** Answers a browser that has come with the link. */
    follow(request: FastifyRequest, reply: FastifyReply, token: string): Promise<FastifyReply> {
      const visit = { request, reply, token };
      return show(visit, async () => sendForm(visit, (await requireResetToken(services, token)).owner));
    },
  };
}
