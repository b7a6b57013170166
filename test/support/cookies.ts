import type { Answer } from './client.ts';

/** A cookie as an answer sets it. */
export interface SetCookie {
  readonly name: string;
  readonly value: string;
  /** By name, in the case that they came in; a flag is the empty text. */
  readonly attributes: Readonly<Record<string, string>>;
  readonly bytes: number;
}

/** The cookies that an answer sets, in order. */
export function setCookies({ headers }: Pick<Answer, 'headers'>): SetCookie[] {
  return [headers['set-cookie'] ?? []].flat().map((field) => {
    const [[name, value] = ['', ''], ...attributes] = field.split('; ').map(splitPair);
    return { name, value, attributes: Object.fromEntries(attributes), bytes: Buffer.byteLength(field) };
  });
}

/** What a browser sends along after such an answer. */
export function cookieHeader(cookies: readonly Pick<SetCookie, 'name' | 'value'>[]): string {
  return cookies.map(({ name, value }) => `${name}=${value}`).join('; ');
}

function splitPair(text: string): [string, string] {
  const equals = text.indexOf('=');
  return equals === -1 ? [text, ''] : [text.slice(0, equals), text.slice(equals + 1)];
}
