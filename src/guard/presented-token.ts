import type { FastifyRequest } from 'fastify';
import { countHeader } from '../http/count-header.ts';
import { Problem } from '../problems/problem.ts';

/** A token that a request presents, and how. */
export interface PresentedToken {
  readonly token: string;
  readonly by: 'bearer' | 'cookie';
}

/** RFC 6750 §2.1: one space, and the token. The scheme is not case-sensitive (RFC 9110 §11.1). */
const scheme = 'bearer ';

/**
 * The access token that a request presents, in its `Authorization` header or in a cookie; the query is never looked at.
 * Whether it has the form of one is for those to tell who verify it.
 *
 * @returns undefined when there is none, or when the header is of another scheme
 * @throws Problem `ambiguous_credentials` when there are two that differ: Node.js and other parsers would quietly take
 *   one of them, and not the same one
 */
export function presentedToken(request: Pick<FastifyRequest, 'headers' | 'raw'>, cookieName: string): PresentedToken | undefined {
  const { authorization, cookie } = request.headers;
  if (authorization !== undefined && countHeader(request.raw.rawHeaders, 'authorization') > 1) throw new Problem('ambiguous_credentials');
  const fromHeader = authorization === undefined ? undefined : readBearer(authorization);
  const fromCookie = cookie === undefined ? undefined : readCookie(cookie, cookieName);
  if (fromHeader !== undefined && fromCookie !== undefined && fromHeader !== fromCookie) throw new Problem('ambiguous_credentials');
  if (fromHeader !== undefined) return { token: fromHeader, by: 'bearer' };
  // A header that could not be read was meant to be a credential; a cookie must not take its place.
  return fromCookie === undefined || authorization !== undefined ? undefined : { token: fromCookie, by: 'cookie' };
}

function readBearer(authorization: string): string | undefined {
  return authorization.slice(0, scheme.length).toLowerCase() === scheme ? authorization.slice(scheme.length) : undefined;
}

/**
 * The value of a cookie. Ours need no decoding: they hold tokens.
 *
 * Only space and tab are blank, as RFC 6265 §4.2.1 and browsers have it. To them, a no-break space before `__Host-` makes
 * another name, whose cookie any host of the domain may plant.
 *
 * @throws Problem `ambiguous_credentials` when it comes twice with different values, as it does when another host of
 *   the domain has planted one
 */
export function readCookie(header: string, name: string): string | undefined {
  const start = `${name}=`;
  let value: string | undefined;
  for (const pair of header.split(';')) {
    const trimmed = withoutBlanks(pair);
    if (!trimmed.startsWith(start)) continue;
    const next = trimmed.slice(start.length);
    if (value !== undefined && value !== next) throw new Problem('ambiguous_credentials');
    value = next;
  }
  return value;
}

function withoutBlanks(text: string): string {
  let start = 0;
  let end = text.length;
  while (isBlank(text[start])) start += 1;
  while (end > start && isBlank(text[end - 1])) end -= 1;
  return text.slice(start, end);
}

function isBlank(character: string | undefined): boolean {
  return character === ' ' || character === '\t';
}
