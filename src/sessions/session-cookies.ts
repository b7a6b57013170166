import type { FastifyReply } from 'fastify';
import { cookieAttributes } from '../guard/cookies.ts';
import type { SessionRow } from '../identity/sessions.ts';
import type { Services } from '../services.ts';

interface Tokens {
  readonly accessToken: string;
  readonly refreshToken: string;
}

/** Sets the cookies of a session. They go when the browser is closed, unless the session is to be remembered. */
export function setSessionCookies(
  reply: FastifyReply,
  { accessTokens, clock, sessionCookies }: Pick<Services, 'accessTokens' | 'clock' | 'sessionCookies'>,
  session: SessionRow,
  { accessToken, refreshToken }: Tokens,
): void {
  const options = cookieAttributes(sessionCookies);
  // A part of a second counts as one: the cookie must not be gone while the session lives.
  const idleSeconds = Math.ceil((session.idleExpiresAt.getTime() - clock.now().getTime()) / 1000);
  reply.setCookie(sessionCookies.access, accessToken, { ...options, ...(session.rememberMe && { maxAge: accessTokens.ttlSeconds }) });
  reply.setCookie(sessionCookies.refresh, refreshToken, { ...options, ...(session.rememberMe && { maxAge: idleSeconds }) });
}
