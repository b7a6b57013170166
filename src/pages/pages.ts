import type { FastifyReply, FastifyRequest } from 'fastify';
import type { Config } from '../config.ts';
import { type Language, languageOf, languages, preferredLanguage } from '../mail/words/index.ts';
import type { FormProofs } from './forms.ts';
import { stylesheetVersion } from './stylesheet.ts';
import type { Field, PageTemplates } from './templates.ts';
import { pageWords } from './words/index.ts';
import type { PageErrors, PageFacts, PageKind, PageWords } from './words/words.ts';

/** A form of a page; what its button says is in the words of the page. */
interface Form {
  /** Where it is sent: a path of this service, without the one that PUBLIC_URL may begin with. */
  readonly action: string;
  readonly sessionId: string | undefined;
  readonly fields?: readonly Field[];
}

export interface Page {
  readonly kind: PageKind;
  readonly status?: number;
  readonly facts?: Partial<Omit<PageFacts, 'service'>>;
  readonly alert?: string | undefined;
  readonly form?: Form;
  /** Whether there is nothing more to do here: then a link leads on to the application, if there is one. */
  readonly isEnd?: boolean;
}

/** Writes the pages that a person's click on a mailed link lands on. */
export interface Pages {
  /** The path that PUBLIC_URL begins with, if it has one. */
  readonly basePath: string;
  /** @param locale of the person, if they are known; otherwise the browser says which language they read */
  send(request: FastifyRequest, reply: FastifyReply, page: Page, locale?: string | null): FastifyReply;
  /** The words of the language that a page would be in. */
  words(request: FastifyRequest, locale?: string | null): PageWords;
  /** How long somebody has to wait, in words. */
  wait(request: FastifyRequest, seconds: number, locale?: string | null): string;
}

export const stylesheetPath = '/pages.css';

export function createPages(config: Config, templates: PageTemplates, proofs: FormProofs): Pages {
  const { publicUrl } = config.server;
  const basePath = new URL(publicUrl).pathname.replace(/\/$/, '');
  const policy = pagePolicy(config.appUrl);
  const languageFor = (request: FastifyRequest, locale: string | null | undefined): Language =>
    locale == null ? (preferredLanguage(request.headers['accept-language']) ?? languageOf(null)) : languageOf(locale);

  return {
    basePath,
    words: (request, locale) => pageWords[languageFor(request, locale)],
    wait: (request, seconds, locale) => languages[languageFor(request, locale)].duration(roundedUp(seconds)),
    send(request, reply, { kind, status = 200, facts, alert, form, isEnd }, locale) {
      const language = languageFor(request, locale);
      const words = pageWords[language];
      const service = config.serviceName;
      const text = words.pages[kind]({ service, email: '', username: '', ...facts });
      const fields = form?.fields ?? [];
      const focus = fields.find(({ error }) => error !== undefined) ?? fields.find(({ value }) => value === undefined);
      const page = templates.render({
        ...{ kind, language, service, text, alert },
        stylesheet: `${basePath}${stylesheetPath}?${stylesheetVersion}`,
        form: form && {
          action: `${basePath}${form.action}`,
          proof: proofs.make(form.action, form.sessionId),
          fields,
          focus: focus?.name,
        },
        link: isEnd && config.appUrl !== undefined ? { href: config.appUrl, label: words.continue(service) } : undefined,
      });
      return reply
        .code(status)
        .headers({ 'content-type': 'text/html; charset=utf-8', 'content-language': language, 'content-security-policy': policy })
        .headers(status === 401 ? { 'www-authenticate': 'Bearer' } : {})
        .serializer(String)
        .send(page);
    },
  };
}

/** A time to wait as people would tell it: so many seconds, minutes or hours, and never too few. */
function roundedUp(seconds: number): number {
  const unit = seconds > 5400 ? 3600 : seconds > 90 ? 60 : 1;
  return Math.max(1, Math.ceil(seconds / unit)) * unit;
}

/** No scripts, nothing from elsewhere. A browser follows a form's redirect only to where the policy lets forms go. */
function pagePolicy(appUrl: string | undefined): string {
  const targets = appUrl === undefined ? "'self'" : `'self' ${new URL(appUrl).origin}`;
  return `default-src 'none'; style-src 'self'; form-action ${targets}; frame-ancestors 'none'; base-uri 'none'`;
}

/** Shows whose password is asked for, so that password managers know, too. */
export function accountField({ email: label }: PageWords, email: string): Field {
  return { name: 'email', type: 'email', label, autocomplete: 'username', value: email };
}

/** Inputs for the password of an account, which stands in for a session. */
export function passwordFields(words: PageWords, email: string | undefined, error?: string): readonly Field[] {
  const password = { name: 'password', type: 'password', label: words.password, autocomplete: 'current-password', error } as const;
  return email === undefined ? [password] : [accountField(words, email), password];
}

/** What is wrong, for a refusal that has no words of its own. */
export function errorText({ errors }: PageWords, code: string): string {
  const text = errors[code as keyof PageErrors];
  return typeof text === 'string' ? text : errors.anything_else;
}
