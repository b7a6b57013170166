import type { Test } from 'tap';
import { cookieHeader, type SetCookie, setCookies } from './cookies.ts';
import { listening } from './listening.ts';
import type { Person } from './person.ts';
import { startService } from './service.ts';
import { openTables } from './tables.ts';

/** What a browser says along with a request of a page of the service's own. */
export const sameOrigin = { 'sec-fetch-site': 'same-origin' };

/** A listening service without limits, and what tests of sessions do with it again and again. */
export async function startSessionService(t: Test, overrides: Readonly<Record<string, string>> = {}) {
  const service = await listening(await startService(t, { RATE_LIMIT: 'off', ...overrides }));

  return {
    service,
    tables: openTables(t, service),
    refresh: (refreshToken: unknown) => service.post('/auth/refresh', { refreshToken }),
    /** The headers of a browser that has these cookies. */
    byCookie: (cookies: readonly SetCookie[]) => ({ cookie: cookieHeader(cookies), ...sameOrigin }),
    async logInByCookie({ email, password }: Pick<Person, 'email' | 'password'>, rememberMe = false): Promise<SetCookie[]> {
      const body = { email, password, rememberMe, transport: 'cookie' };
      const answer = await service.post('/auth/login', body, { headers: sameOrigin });
      if (answer.status !== 200) throw new Error(`login answered ${answer.status}: ${answer.text}`);
      return setCookies(answer);
    },
    /** What has happened to the account of a session, newest first. */
    async eventTypes(token: string): Promise<string[]> {
      return (await service.get('/auth/events?limit=100', { token })).body.events.map(({ type }: { type: string }) => type);
    },
  };
}
