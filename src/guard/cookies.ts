import type { CookieSerializeOptions } from '@fastify/cookie';
import type { FastifyReply } from 'fastify';
import { text } from '../schemas.ts';

/** Longer ones are not kept by browsers (RFC 6265bis §5.6). */
const maxCookieLength = 4096;

/** The header field of answers that set or clear these cookies, for the OpenAPI document. */
export const setCookieField = (description: string) => ({ 'Set-Cookie': text(maxCookieLength, description) });
export const clearedCookies = setCookieField('Makes the browser forget both cookies of the session.');

/** What the cookies of a session are called, and whether they travel by TLS only. */
export interface SessionCookies {
  readonly access: string;
  readonly refresh: string;
  readonly secure: boolean;
}

/**
 * The `__Host-` prefix makes browsers refuse a cookie that another host of the domain has planted (RFC 6265bis
 * §4.1.3.2). It needs https; over plain http, which is for localhost, the names go without it.
 */
export function sessionCookies(publicUrl: string): SessionCookies {
  const secure = publicUrl.startsWith('https:');
  const prefix = secure ? '__Host-' : '';
  return { access: `${prefix}access`, refresh: `${prefix}refresh`, secure };
}

/** Out of reach of scripts and of other sites; no Domain, so that no other host gets them (ASVS 3.3.1–3.3.4). */
export function cookieAttributes({ secure }: SessionCookies): CookieSerializeOptions {
  return { httpOnly: true, sameSite: 'lax', path: '/', secure };
}

/** Makes the browser forget the cookies of a session, with the attributes that they were set with. */
export function clearSessionCookies(reply: FastifyReply, cookies: SessionCookies): void {
  for (const name of [cookies.access, cookies.refresh]) reply.clearCookie(name, cookieAttributes(cookies));
}
