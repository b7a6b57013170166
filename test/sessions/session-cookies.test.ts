import t from 'tap';
import { sessionCookies } from '../../src/guard/cookies.ts';
import { setSessionCookies } from '../../src/sessions/session-cookies.ts';

const tokens = { accessToken: 'an access token', refreshToken: 'a refresh token' };

t.test('the cookie of a session that is remembered is kept for as long as the session, and never a second less', (t) => {
  const week = 7 * 24 * 3600;
  const end = new Date('2026-11-27T18:45:00.000Z');
  const kept: Record<string, [passedMs: number, seconds: number]> = {
    'at once': [0, week],
    'after a few milliseconds': [7, week],
    'when nearly a second has passed': [999, week],
    'when a second has passed': [1000, week - 1],
    'with a millisecond left': [week * 1000 - 1, 1],
  };
  for (const [when, [passedMs, seconds]] of Object.entries(kept)) {
    const ages: (number | undefined)[] = [];
    const reply = { setCookie: (_name: string, _value: string, { maxAge }: { maxAge?: number }) => ages.push(maxAge) };
    const clock = { now: () => new Date(end.getTime() - week * 1000 + passedMs) };
    const services = { clock, accessTokens: { ttlSeconds: 300 }, sessionCookies: sessionCookies('http://localhost:3000') };
    setSessionCookies(reply as never, services as never, { idleExpiresAt: end, rememberMe: true } as never, tokens);
    t.strictSame(ages, [300, seconds], when);
  }
  t.end();
});
