import type { CookieSerializeOptions } from '@fastify/cookie';
import type { FastifyReply } from 'fastify';
import type { SessionCookies } from '../guard/cookies.ts';
import type { SessionRow } from '../identity/sessions.ts';
import type { Services } from '../services.ts';

interface Tokens {
  readonly accessToken: string;
  readonly refreshToken: string;
}

/** Out of reach of scripts and of other sites; no Domain, so that no other host gets them (ASVS 3.3.1–3.3.4). */
function attributes({ secure }: SessionCookies): CookieSerializeOptions {
  return { httpOnly: true, sameSite: 'lax', path: '/', secure };
}

/** Sets the cookies of a session. They go when the browser is closed, unless the session is to be remembered. */
export function setSessionCookies(
  reply: FastifyReply,
  { accessTokens, clock, sessionCookies }: Pick<Services, 'accessTokens' | 'clock' | 'sessionCookies'>,
  session: SessionRow,
  { accessToken, refreshToken }: Tokens,
): void {
  const options = attributes(sessionCookies);
  const idleSeconds = Math.floor((session.idleExpiresAt.getTime() - clock.now().getTime()) / 1000);
  reply.setCookie(sessionCookies.access, accessToken, { ...options, ...(session.rememberMe && { maxAge: accessTokens.ttlSeconds }) });
  reply.setCookie(sessionCookies.refresh, refreshToken, { ...options, ...(session.rememberMe && { maxAge: idleSeconds }) });
}

/** Makes the browser forget the cookies of a session, with the attributes that they were set with. */
export function clearSessionCookies(reply: FastifyReply, cookies: SessionCookies): void {
  for (const name of [cookies.access, cookies.refresh]) reply.clearCookie(name, attributes(cookies));
}
