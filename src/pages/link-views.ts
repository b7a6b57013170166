import type { FastifyReply, FastifyRequest } from 'fastify';
import type { FoundSession } from '../guard/find-session.ts';
import { noteProblem, toProblem } from '../http/plugin.ts';
import type { UserRow } from '../identity/users.ts';
import { Problem } from '../problems/problem.ts';
import type { PageServices } from './page-services.ts';
import { errorText, passwordFields } from './pages.ts';
import type { PageKind } from './words/words.ts';

/** Somebody's click: the link that they have come with. */
export interface Visit {
  readonly request: FastifyRequest;
  readonly reply: FastifyReply;
  readonly token: string;
}

/** What the pages of one kind of link say. */
export interface LinkTexts {
  /** The address of the link, without the token. */
  readonly path: string;
  /** The pages that ask for a click, and for a password. */
  readonly ask: PageKind;
  readonly askPassword: PageKind;
  /** What the query of APP_URL tells in place of a page; undefined for a page that is shown in any case. */
  readonly appStatus: (kind: PageKind) => string | undefined;
  /** The address that the link proves: whoever has the link reads its mails. No other address of the account is shown. */
  readonly addressOf: (owner: UserRow) => string;
}

interface Ending {
  readonly status?: number;
  readonly owner?: UserRow;
}

/** The pages of one kind of link. */
export function createLinkViews({ pages, config }: Pick<PageServices, 'pages' | 'config'>, texts: LinkTexts) {
  const { path, ask, askPassword, appStatus, addressOf } = texts;
  const accountOf = (owner: UserRow) => (addressOf(owner) === owner.email ? owner.email : undefined);
  // Whatever was sent as a token may come back in a redirect.
  const actionOf = (token: string) => `${path}/${encodeURIComponent(token)}`;
  const redirection = (kind: PageKind): string | undefined => {
    const status = appStatus(kind);
    return status === undefined || config.appUrl === undefined ? undefined : withStatus(config.appUrl, status);
  };

  return {
    actionOf,
    leadsToApp: (kind: PageKind) => redirection(kind) !== undefined,

    /** Where a link ends: in the application if there is one, else on a page. */
    end({ request, reply }: Visit, kind: PageKind, { status = 200, owner }: Ending = {}): FastifyReply {
      const target = redirection(kind);
      if (target !== undefined) return reply.redirect(target, 303);
      const facts = owner && { email: addressOf(owner) };
      return pages.send(request, reply, { kind, status, isEnd: true, ...(facts && { facts }) }, owner?.locale);
    },

    /** Asks for a click. */
    button({ request, reply, token }: Visit, owner: UserRow, sessionId?: string, alert?: string): FastifyReply {
      const form = { action: actionOf(token), sessionId };
      return pages.send(request, reply, { kind: ask, facts: { email: addressOf(owner) }, form, alert }, owner.locale);
    },

    /** Asks for the password, in place of a session. */
    password({ request, reply, token }: Visit, owner: UserRow, { error, alert }: { error?: string; alert?: string | undefined } = {}) {
      const fields = passwordFields(pages.words(request, owner.locale), accountOf(owner), error);
      const form = { action: actionOf(token), sessionId: undefined, fields };
      return pages.send(request, reply, { kind: askPassword, status: 401, facts: { email: addressOf(owner) }, form, alert }, owner.locale);
    },

    /** Tells who is logged in, and offers to log out. */
    wrongAccount({ request, reply, token }: Visit, { id, username }: FoundSession): FastifyReply {
      const form = { action: `${actionOf(token)}/logout`, sessionId: id };
      return pages.send(request, reply, { kind: 'wrong_account', status: 403, facts: { username }, form });
    },

    /** Offers another mail: to a session of the account at once, to anybody else for its password. */
    expired({ request, reply, token }: Visit, owner: UserRow, session: FoundSession | undefined, refusal: Refusal = {}): FastifyReply {
      const { status = 410, alert, error } = refusal;
      const fields = session === undefined ? passwordFields(pages.words(request, owner.locale), accountOf(owner), error) : [];
      const form = { action: `${actionOf(token)}/resend`, sessionId: session?.id, fields };
      const kind = session === undefined ? 'expired_with_password' : 'expired';
      return pages.send(request, reply, { kind, status, facts: { email: addressOf(owner) }, form, alert }, owner.locale);
    },
  };
}

interface Refusal {
  readonly status?: number;
  readonly alert?: string;
  /** What is wrong with the password. */
  readonly error?: string;
}

/**
 * The refusal that a page tells of: a database that is away is one, too, since a person can do nothing with a problem.
 *
 * @throws whatever else it is: a fault of ours
 */
export function requireRefusal(error: unknown, request: FastifyRequest): Problem {
  if (error instanceof Problem) return error;
  const problem = toProblem(error);
  if (problem.status !== 503) throw error;
  noteProblem(problem, request);
  return problem;
}

/** Shows a refusal that has no page of its own. */
export function sendFailure({ pages }: Pick<PageServices, 'pages'>, { request, reply }: Visit, problem: Problem): FastifyReply {
  const { status, headers } = problem;
  const wait = headers['retry-after'];
  if (wait !== undefined) reply.header('retry-after', wait);
  return pages.send(request, reply, { kind: 'failed', status, alert: refusalText({ pages }, request, problem) });
}

/** A refusal in words. */
export function refusalText(
  { pages }: Pick<PageServices, 'pages'>,
  request: FastifyRequest,
  problem: Problem,
  locale?: string | null,
): string {
  const words = pages.words(request, locale);
  if (problem.code !== 'rate_limited') return errorText(words, problem.code);
  return words.errors.rate_limited(pages.wait(request, Number(problem.headers['retry-after'] ?? 60), locale));
}

function withStatus(appUrl: string, status: string): string {
  const url = new URL(appUrl);
  url.searchParams.set('confirmation', status);
  return url.href;
}
