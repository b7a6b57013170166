import type { FastifyReply } from 'fastify';
import type { LiveSession } from '../identity/sessions.ts';
import { presentUser } from '../identity/user-schema.ts';
import type { Services } from '../services.ts';
import type { BearerResult, CookieResult } from './schemas.ts';
import { setSessionCookies } from './session-cookies.ts';

/** How the tokens of a session travel: in the answer's body, or in cookies that scripts cannot read. */
export type Transport = 'bearer' | 'cookie';

type Needs = Pick<Services, 'accessTokens' | 'clock' | 'refreshTokens' | 'sessionCookies'>;

/** Mints the tokens of a session as it is now, and answers with all that a client needs to know of it. */
export function answerWithTokens(
  services: Needs,
  live: LiveSession,
  transport: Transport,
  reply: FastifyReply,
): BearerResult | CookieResult {
  const { accessTokens, clock, refreshTokens } = services;
  const { session, user } = live;
  const presented = presentUser(user);
  const { id, email, username, role, confirmed } = presented;
  const accessToken = accessTokens.mint({ sub: id, sid: session.id, username, email, role, confirmed }, session.client, session.expiresAt);
  const refreshToken = refreshTokens.mint({ sessionId: session.id, counter: session.refreshCounter });
  const secondsLeft = Math.floor((session.expiresAt.getTime() - clock.now().getTime()) / 1000);
  const result = {
    user: presented,
    session: { id: session.id, expiresAt: session.expiresAt.toISOString() },
    tokenType: 'Bearer' as const,
    expiresIn: Math.min(accessTokens.ttlSeconds, secondsLeft),
  };
  if (transport === 'bearer') return { ...result, accessToken, refreshToken };
  setSessionCookies(reply, services, session, { accessToken, refreshToken });
  return result;
}
