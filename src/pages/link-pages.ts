import { type Static, Type } from '@sinclair/typebox';
import type { FastifyInstance, FastifyReply, FastifyRequest } from 'fastify';
import { clearSessionCookies } from '../guard/cookies.ts';
import type { FoundSession } from '../guard/find-session.ts';
import { createVisitorFinder } from '../guard/find-visitor.ts';
import { requireLinkOwner } from '../guard/link-owner.ts';
import { logOut } from '../guard/log-out.ts';
import { originOf } from '../http/origin.ts';
import type { Origin } from '../identity/events.ts';
import { tokenParams } from '../identity/member-schemas.ts';
import type { UserRow } from '../identity/users.ts';
import type { ProblemCode } from '../problems/catalogue.ts';
import { Problem } from '../problems/problem.ts';
import { strictObject } from '../schemas.ts';
import { acceptForms, proofMember } from './forms.ts';
import { createLinkViews, type LinkTexts, refusalText, requireRefusal, sendFailure, type Visit } from './link-views.ts';
import { isPrefetch } from './negotiation.ts';
import type { PageServices } from './page-services.ts';
import type { PageKind } from './words/words.ts';

/** A kind of link that only its account's owner can use: what its pages say and do. */
export interface LinkPagesOptions extends LinkTexts {
  /** Whether whoever has the link may use it by pressing a button. */
  readonly acceptsBareLink: boolean;
  /** Finds the account of a link that works; throws what the API does. */
  readonly requireOwner: (token: string) => Promise<UserRow>;
  /** Finds the account of a link that works, or once did; throws a Problem `invalid_token`. */
  readonly requireFormerOwner: (token: string) => Promise<UserRow>;
  /** Does what the link is for. */
  readonly settle: (owner: UserRow, origin: Origin) => Promise<{ readonly user: UserRow; readonly kind: PageKind }>;
  /** Sends another mail. */
  readonly resend: (userId: string, origin: Origin) => Promise<unknown>;
}

/** What is sent with a form need not be said by the browser, too, to come from here. */
const withProof = { hasProof: true };
const FormBody = strictObject({ proof: proofMember, email: Type.Optional(Type.String()), password: Type.Optional(Type.String()) });
type Form = Static<typeof FormBody>;

/**
 * The pages of a link. Adds the routes that their forms are sent to; the route of the link itself calls what is returned.
 *
 * A page that is only fetched changes nothing, unless it is the browser of somebody who is logged in to the account of
 * the link. Everything else takes a form, with the password where there is no session.
 */
export function createLinkPages(app: FastifyInstance, services: PageServices, options: LinkPagesOptions) {
  const { pages, formProofs, config, sessionCookies } = services;
  const { path, acceptsBareLink, requireOwner, requireFormerOwner } = options;
  const views = createLinkViews(services, options);
  const { actionOf } = views;
  const ownership = { ...services, guard: app.guard };
  const { protection } = config.sessions;
  const findVisitor = createVisitorFinder({ ...ownership, refreshCookie: sessionCookies.refresh, protection });

  /** A page from before the login, or of a prefetch, knows no session: then the browser has to say that it is ours. */
  function isGenuine(request: FastifyRequest, proof: string, action: string, visitor: FoundSession | null): boolean {
    if (formProofs.isGenuine(proof, action, visitor?.id)) return true;
    return isFromHere(request) && formProofs.isGenuine(proof, action, undefined);
  }

  function isFromHere(request: FastifyRequest): boolean {
    try {
      services.checkOrigin(request);
      return true;
    } catch {
      return false;
    }
  }

  async function settle(visit: Visit, owner: UserRow): Promise<FastifyReply> {
    const { user, kind } = await options.settle(owner, originOf(visit.request));
    return views.end(visit, kind, { owner: user });
  }

  /** Asks for what is still missing: a click, or the password. */
  function askFor(visit: Visit, owner: UserRow, visitor: FoundSession | null, alert?: string): FastifyReply {
    const needsPassword = visitor === null && !acceptsBareLink;
    return needsPassword ? views.password(visit, owner, { alert }) : views.button(visit, owner, visitor?.id, alert);
  }

  async function follow(visit: Visit): Promise<FastifyReply> {
    const owner = await requireOwner(visit.token);
    if (isPrefetch(visit.request)) return views.button(visit, owner);
    const visitor = await findVisitor(visit.request);
    if (visitor === null) return askFor(visit, owner, visitor);
    return visitor.userId === owner.id ? settle(visit, owner) : views.wrongAccount(visit, visitor);
  }

  async function submit(visit: Visit, { proof, password }: Form): Promise<FastifyReply> {
    const { request, token } = visit;
    const owner = await requireOwner(token);
    const visitor = await findVisitor(request, withProof);
    if (visitor !== null && visitor.userId !== owner.id) return views.wrongAccount(visit, visitor);
    const { errors } = pages.words(request, owner.locale);
    if (!isGenuine(request, proof, actionOf(token), visitor)) return askFor(visit, owner, visitor, errors.out_of_date);
    if (password !== undefined) await app.limitRequest('password', request, visit.reply);
    if (password === undefined) return visitor !== null || acceptsBareLink ? settle(visit, owner) : views.password(visit, owner);
    const isRight = await succeeds(requireLinkOwner(ownership, owner, request, password), 'invalid_credentials');
    return isRight ? settle(visit, owner) : views.password(visit, owner, { error: errors.invalid_credentials });
  }

  async function sendExpired(visit: Visit): Promise<FastifyReply> {
    const owner = await requireFormerOwner(visit.token);
    const visitor = await findVisitor(visit.request);
    return views.expired(visit, owner, visitor?.userId === owner.id ? visitor : undefined);
  }

  async function resend(visit: Visit, { proof, password = '' }: Form): Promise<FastifyReply> {
    const { request, reply, token } = visit;
    const owner = await requireFormerOwner(token);
    const visitor = await findVisitor(request, withProof);
    const session = visitor?.userId === owner.id ? visitor : undefined;
    const { errors } = pages.words(request, owner.locale);
    if (!formProofs.isGenuine(proof, `${actionOf(token)}/resend`, session?.id))
      return views.expired(visit, owner, session, { alert: errors.out_of_date });
    if (session === undefined) await app.limitRequest('password', request, reply);
    if (session === undefined && !(await succeeds(requireLinkOwner(ownership, owner, request, password), 'invalid_credentials'))) {
      return views.expired(visit, owner, session, { status: 401, error: errors.invalid_credentials });
    }
    try {
      await options.resend(owner.id, originOf(request));
    } catch (error) {
      if (!isProblem(error, 'rate_limited')) throw error;
      reply.header('retry-after', error.headers['retry-after']);
      return views.expired(visit, owner, session, { status: 429, alert: refusalText(services, request, error, owner.locale) });
    }
    return views.end(visit, 'mail_sent', { owner });
  }

  async function leave({ request, reply, token }: Visit, { proof }: Form): Promise<FastifyReply> {
    const visitor = await findVisitor(request, withProof);
    if (visitor !== null && formProofs.isGenuine(proof, `${actionOf(token)}/logout`, visitor.id)) {
      await logOut(services, visitor, originOf(request));
      clearSessionCookies(reply, sessionCookies);
    }
    return reply.redirect(`${pages.basePath}${actionOf(token)}`, 303);
  }

  const ownerOf = async ({ token }: Visit) => ({ owner: await requireFormerOwner(token) });
  /** The pages of the refusals that have one. */
  const refusals: Partial<Record<ProblemCode, (visit: Visit, status: number) => FastifyReply | Promise<FastifyReply>>> = {
    invalid_token: (visit, status) => views.end(visit, 'invalid', { status }),
    used_token: (visit, status) => views.end(visit, 'used', { status }),
    already_confirmed: async (visit) => views.end(visit, 'already_confirmed', await ownerOf(visit)),
    email_taken: async (visit, status) => views.end(visit, 'email_taken', { status, ...(await ownerOf(visit)) }),
    expired_token: (visit) => (views.leadsToApp('expired') ? views.end(visit, 'expired') : show(visit, () => sendExpired(visit))),
  };

  /** Shows every refusal as a page. */
  async function show(visit: Visit, work: () => Promise<FastifyReply>): Promise<FastifyReply> {
    try {
      return await work();
    } catch (refusal) {
      const error = requireRefusal(await services.limits.tokens.judge(refusal, visit.request.ip), visit.request);
      const page = refusals[error.code];
      return page === undefined ? sendFailure(services, visit, error) : page(visit, error.status);
    }
  }

  app.register(async (forms) => {
    acceptForms(forms);
    for (const [url, act] of Object.entries({ '': submit, '/resend': resend, '/logout': leave })) {
      forms.route<{ Params: { token: string }; Body: Form }>({
        method: 'POST',
        url: `${path}/:token${url}`,
        config: { access: 'public' },
        schema: { hide: true, params: tokenParams, body: FormBody },
        handler: (request, reply) => {
          const visit = { request, reply, token: request.params.token };
          return show(visit, () => act(visit, request.body));
        },
      });
    }
  });

  return {
    /** Answers a browser that has come with the link. */
    follow(request: FastifyRequest, reply: FastifyReply, token: string): Promise<FastifyReply> {
      const visit = { request, reply, token };
      return show(visit, () => follow(visit));
    },
  };
}

/** Whether some work is done, or refused with one kind of problem; any other failure passes through. */
async function succeeds(work: Promise<void>, code: ProblemCode): Promise<boolean> {
  try {
    await work;
    return true;
  } catch (error) {
    if (isProblem(error, code)) return false;
    throw error;
  }
}

function isProblem(error: unknown, code: ProblemCode): error is Problem {
  return error instanceof Problem && error.code === code;
}
