import type { Answer } from './client.ts';
import { cookieHeader, setCookies } from './cookies.ts';
import type { Person } from './person.ts';
import type { Service } from './service.ts';

/** What browsers ask for when somebody follows a link. */
export const browserAccept = 'text/html,application/xhtml+xml,application/xml;q=0.9,image/avif,image/webp,*/*;q=0.8';

/** A page as it came, or whatever came in its place. */
export interface Visited extends Answer {
  /** Which page it is; undefined for an answer that is none. */
  readonly kind: string | undefined;
  /** Where its form is sent, and what the form holds by itself; empty for a page without one. */
  readonly action: string;
  readonly fields: Readonly<Record<string, string>>;
}

type Headers = Readonly<Record<string, string>>;

/** A browser without scripts, which keeps cookies and sends the forms that it was shown. */
export interface TestBrowser {
  readonly cookies: Map<string, string>;
  /** Logs in by cookie, as an application on the same origin does. */
  logIn(person: Pick<Person, 'email' | 'password'>): Promise<void>;
  /** Calls the API by POST, as a script of an application on the same origin does. */
  call(path: string, body?: object): Promise<Answer>;
  go(path: string, headers?: Headers): Promise<Visited>;
  /** Sends the form of a page, with what was entered. */
  submit(page: Pick<Visited, 'action' | 'fields'>, entered?: Readonly<Record<string, string>>, headers?: Headers): Promise<Visited>;
}

export function openBrowser(service: Pick<Service, 'request'>, own: Headers = {}): TestBrowser {
  const cookies = new Map<string, string>();

  async function send(method: 'GET' | 'POST', path: string, headers: Headers, body?: unknown): Promise<Visited> {
    const cookie = cookieHeader([...cookies].map(([name, value]) => ({ name, value })));
    const all = { accept: browserAccept, 'user-agent': 'A browser/1.0', ...(cookie !== '' && { cookie }), ...own, ...headers };
    const answer = await service.request(method, path, { headers: all, ...(body !== undefined && { body }) });
    for (const { name, value } of setCookies(answer)) value === '' ? cookies.delete(name) : cookies.set(name, value);
    return { ...answer, ...readPage(answer.text) };
  }

  return {
    cookies,
    async logIn({ email, password }) {
      const { status, text } = await this.call('/auth/login', { email, password, transport: 'cookie' });
      if (status !== 200) throw new Error(`login answered ${status}: ${text}`);
    },
    call: (path, body) => send('POST', path, { 'sec-fetch-site': 'same-origin', accept: 'application/json' }, body),
    go: (path, headers = {}) => send('GET', path, headers),
    submit({ action, fields }, entered = {}, headers = {}) {
      const type = { 'content-type': 'application/x-www-form-urlencoded', origin: 'null', 'sec-fetch-site': 'same-origin' };
      return send('POST', action, { ...type, ...headers }, new URLSearchParams({ ...fields, ...entered }).toString());
    },
  };
}

function readPage(text: string): Pick<Visited, 'kind' | 'action' | 'fields'> {
  const inputs = [...text.matchAll(/<input\b[^>]*>/g)].map(([input]) => [attribute(input, 'name'), attribute(input, 'value')]);
  const fields = Object.fromEntries(inputs.filter(([, value]) => value !== ''));
  return { kind: /<body data-page="(\w+)">/.exec(text)?.[1], action: attribute(/<form\b[^>]*>/.exec(text)?.[0] ?? '', 'action'), fields };
}

const entities: Readonly<Record<string, string>> = { '&amp;': '&', '&lt;': '<', '&gt;': '>', '&quot;': '"', '&#39;': "'" };

function attribute(tag: string, name: string): string {
  const value = new RegExp(` ${name}="([^"]*)"`).exec(tag)?.[1] ?? '';
  return value.replaceAll(/&(?:amp|lt|gt|quot|#39);/g, (entity) => entities[entity] ?? '');
}

/** The paths of all links in the text part of the `count`th mail to an address, in order. */
export async function linkPaths({ mailServer }: Pick<Service, 'mailServer'>, address: string, count = 1): Promise<string[]> {
  const { text = '' } = await mailServer.mailTo(address, count);
  return (text.match(/\bhttps?:\/\/\S+/g) ?? []).map((link) => new URL(link).pathname);
}

/** The path of the link "this was not me" in the first mail to somebody. */
export async function disownPath(service: Pick<Service, 'mailServer'>, { email }: Pick<Person, 'email'>): Promise<string> {
  const found = (await linkPaths(service, email)).find((path) => path.startsWith('/auth/disown/'));
  if (found === undefined) throw new Error(`the mail to ${email} has no link "this was not me"`);
  return found;
}
