import { readdirSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { Eta } from 'eta';
import { type MailKind, mailKinds } from '../db/kinds.ts';
import { mailKindRules } from './mail-kinds.ts';
import { type Language, languages } from './words/index.ts';

const builtIn = fileURLToPath(new URL('../mail/templates', import.meta.url));

/** What a template is given. */
interface MailView {
  readonly service: string;
  readonly language: Language;
  /** None for a notice. */
  readonly link: string | undefined;
  readonly linkLifetimeSeconds: number;
  /** For somebody who has nothing to do with the account; not every mail with a link has one. */
  readonly disownLink?: string | undefined;
}

interface RenderedMail {
  readonly subject: string;
  readonly text: string;
  readonly html: string;
}

export interface MailTemplates {
  render(kind: MailKind, view: MailView): RenderedMail;
}

/** Thrown when a template of the operator's does not work; the message lists every fault. */
export class MailTemplateError extends Error {
  override readonly name = 'MailTemplateError';

  constructor(directory: string, faults: readonly string[]) {
    super(`The mail templates in ${directory} do not work:\n${faults.map((fault) => `  - ${fault}`).join('\n')}`);
  }
}

const formats = ['html', 'text'] as const;
type Format = (typeof formats)[number];

/**
 * Loads the templates of all mails, and tries each of them in each language.
 *
 * @param overrides a directory that may hold `mail.html.eta` and `mail.text.eta`, for all mails, and `KIND.html.eta`
 *   and `KIND.text.eta`, for one kind of them; what it does not hold is built in
 * @throws MailTemplateError when one of them has another name, cannot be rendered, or loses the link
 */
export function loadMailTemplates(overrides?: string): MailTemplates {
  const own = overrides === undefined ? [] : findTemplates(overrides);
  const engines = {
    html: (views: string) => new Eta({ views, cache: true }),
    // Without markup nothing may be escaped, and line breaks mean what they are.
    text: (views: string) => new Eta({ views, cache: true, autoEscape: false, autoTrim: false }),
  } satisfies Record<Format, (views: string) => Eta>;
  const builtInEngines = { html: engines.html(builtIn), text: engines.text(builtIn) };
  const ownEngines = overrides === undefined ? undefined : { html: engines.html(overrides), text: engines.text(overrides) };

  function renderPart(format: Format, kind: MailKind, view: object): string {
    const name = [`${kind}.${format}.eta`, `mail.${format}.eta`].find((file) => own.includes(file));
    if (name === undefined || ownEngines === undefined) return builtInEngines[format].render(`./mail.${format}.eta`, view);
    return ownEngines[format].render(`./${name}`, view);
  }

  const templates: MailTemplates = {
    render(kind, { service, language, link, linkLifetimeSeconds, disownLink }) {
      const words = languages[language];
      const text = words.mails[kind]({ service, lifetime: words.duration(linkLifetimeSeconds) });
      const view = { kind, language, service, words, text, link, disownLink };
      return { subject: text.subject, html: renderPart('html', kind, view), text: renderPart('text', kind, view) };
    },
  };
  const faults = [...unknownFiles(own), ...tryAll(templates)];
  if (faults.length > 0) throw new MailTemplateError(overrides ?? builtIn, faults);
  return templates;
}

function findTemplates(directory: string): string[] {
  try {
    return readdirSync(directory).filter((file) => file.endsWith('.eta'));
  } catch (error) {
    throw new MailTemplateError(directory, [`the directory cannot be read: ${(error as Error).message}`]);
  }
}

function unknownFiles(files: readonly string[]): string[] {
  const known = formats.flatMap((format) => ['mail', ...mailKinds].map((name) => `${name}.${format}.eta`));
  return files.filter((file) => !known.includes(file)).map((file) => `${file} is no template: there are ${known.join(', ')}`);
}

/** Renders every mail in every language; a template that throws or forgets the link must stop the start, not a mail. */
function tryAll(templates: MailTemplates): string[] {
  const trials = mailKinds.flatMap((kind) => (Object.keys(languages) as Language[]).map((language) => ({ kind, language })));
  const faults = trials.flatMap(({ kind, language }) => {
    const link = mailKindRules[kind].purpose === undefined ? undefined : 'https://example.com/link/of-this-mail';
    const disownLink = mailKindRules[kind].hasDisownLink && 'https://example.com/this-was-not-me';
    try {
      const { html, text } = templates.render(kind, { service: 'Service', language, link, linkLifetimeSeconds: 3600, disownLink });
      const without = [html.includes(link ?? '') ? '' : 'html', text.includes(link ?? '') ? '' : 'text'].filter(Boolean);
      return without.map((format) => `${kind} (${format}) does not contain it.link`);
    } catch (error) {
      return [`${kind}: ${(error as Error).message}`];
    }
  });
  return [...new Set(faults)];
}
