import { readdirSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { Eta } from 'eta';
import { type Language, languages } from '../mail/words/index.ts';
import { pageWords } from './words/index.ts';
import { type PageKind, type PageText, pageKinds } from './words/words.ts';

const builtIn = fileURLToPath(new URL('../pages/templates', import.meta.url));
const extension = '.html.eta';

/** One input of a form. */
export interface Field {
  readonly name: string;
  readonly type: 'password' | 'email';
  readonly label: string;
  readonly autocomplete: 'current-password' | 'new-password' | 'username';
  /** Shown, and not to be changed. */
  readonly value?: string | undefined;
  readonly error?: string | undefined;
}

/** What a template is given. */
export interface PageView {
  readonly kind: PageKind;
  readonly language: Language;
  readonly service: string;
  readonly text: PageText;
  /** Where the stylesheet is. */
  readonly stylesheet: string;
  /** Why what was sent was not done. */
  readonly alert?: string | undefined;
  readonly form?: FormView | undefined;
  /** Where to go from here. */
  readonly link?: { readonly href: string; readonly label: string } | undefined;
}

interface FormView {
  readonly action: string;
  /** Shows that the form comes from here. */
  readonly proof: string;
  readonly fields: readonly Field[];
  /** The name of the input to begin with. */
  readonly focus?: string | undefined;
}

export interface PageTemplates {
  render(view: PageView): string;
}

/** Thrown when a template of the operator's does not work; the message lists every fault. */
export class PageTemplateError extends Error {
  override readonly name = 'PageTemplateError';

  constructor(directory: string, faults: readonly string[]) {
    super(`The page templates in ${directory} do not work:\n${faults.map((fault) => `  - ${fault}`).join('\n')}`);
  }
}

/**
 * Loads the templates of all pages, and tries each of them in each language.
 *
 * @param overrides a directory that may hold `page.html.eta`, for all pages, and `KIND.html.eta`, for one kind of them;
 *   what it does not hold is built in
 * @throws PageTemplateError when one of them has another name, cannot be rendered, or loses a form
 */
export function loadPageTemplates(overrides?: string): PageTemplates {
  const own = overrides === undefined ? [] : findTemplates(overrides);
  const builtInEngine = new Eta({ views: builtIn, cache: true });
  const ownEngine = overrides === undefined ? undefined : new Eta({ views: overrides, cache: true });

  const templates: PageTemplates = {
    render(view) {
      const name = [view.kind, 'page'].map((each) => `${each}${extension}`).find((file) => own.includes(file));
      if (name === undefined || ownEngine === undefined) return builtInEngine.render(`./page${extension}`, view);
      return ownEngine.render(`./${name}`, view);
    },
  };
  const known = ['page', ...pageKinds].map((name) => `${name}${extension}`);
  const unknown = own.filter((file) => !known.includes(file)).map((file) => `${file} is no template: there are ${known.join(', ')}`);
  const faults = [...unknown, ...tryAll(templates)];
  if (faults.length > 0) throw new PageTemplateError(overrides ?? builtIn, faults);
  return templates;
}

function findTemplates(directory: string): string[] {
  try {
    return readdirSync(directory).filter((file) => file.endsWith('.eta'));
  } catch (error) {
    throw new PageTemplateError(directory, [`the directory cannot be read: ${(error as Error).message}`]);
  }
}

/** Renders every page in every language; a template that throws or forgets the form must stop the start, not a person. */
function tryAll(templates: PageTemplates): string[] {
  const faults = pageKinds.flatMap((kind) =>
    (Object.keys(languages) as Language[]).flatMap((language) => {
      const text = pageWords[language].pages[kind]({ service: 'Service', email: 'ada@example.com', username: 'ada' });
      const field = { name: 'password', type: 'password', label: 'Password', autocomplete: 'current-password' } as const;
      const fields = kind === 'reset' || kind.endsWith('_with_password') ? [field] : [];
      const form = text.button === undefined ? undefined : { action: '/the/action', proof: 'the-proof', fields };
      try {
        const page = templates.render({ kind, language, service: 'Service', text, stylesheet: '/pages.css', form });
        const needed = form === undefined ? [] : [form.action, form.proof, ...form.fields.map(({ name }) => `name="${name}"`)];
        return needed.filter((each) => !page.includes(each)).map((each) => `${kind} does not contain ${each} of it.form`);
      } catch (error) {
        return [`${kind}: ${(error as Error).message}`];
      }
    }),
  );
  return [...new Set(faults)];
}
