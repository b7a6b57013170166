import { decodeJwt } from 'jose';
import t, { type Test } from 'tap';
import type { Answer } from '../support/client.ts';
import { holdClock } from '../support/held-clock.ts';
import { confirmationToken, emailChangeToken, logIn, openSession, register, resetToken } from '../support/person.ts';
import { startService } from '../support/service.ts';

t.test('kinds of tokens', async (t) => {
  const service = await startService(t);

  /** Somebody, and one token of each kind that is theirs. */
  async function somebody() {
    const person = await register(service);
    const confirmation = await confirmationToken(service, person);
    const { accessToken, refreshToken } = await openSession(service, person);
    const kinds = {
      access: accessToken,
      refresh: refreshToken,
      confirmation,
      'password reset': await resetToken(service, person),
      'address change': await emailChangeToken(service, { ...person, token: accessToken }, `next.${person.email}`),
    };
    return { ...person, kinds };
  }
  type Somebody = Awaited<ReturnType<typeof somebody>>;
  type Kind = keyof Somebody['kinds'];

  const sameOrigin = { 'sec-fetch-site': 'same-origin' };
  const withCookie = (cookie: string) => ({ headers: { ...sameOrigin, cookie } });
  /** Every place that takes a token, with the only kind that it takes, and how it refuses the others. */
  const uses: Record<string, { takes: Kind; refuses: [number, string]; present: (token: string, who: Somebody) => Promise<Answer> }> = {
    bearer: { takes: 'access', refuses: [401, 'unauthenticated'], present: (token) => service.get('/auth/me', { token }) },
    cookie: {
      takes: 'access',
      refuses: [401, 'unauthenticated'],
      present: (token) => service.get('/auth/me', withCookie(`access=${token}`)),
    },
    gateway: { takes: 'access', refuses: [401, 'unauthenticated'], present: (token) => service.get('/auth/verify', { token }) },
    refresh: {
      takes: 'refresh',
      refuses: [401, 'invalid_refresh_token'],
      present: (refreshToken) => service.post('/auth/refresh', { refreshToken }),
    },
    'refresh cookie': {
      takes: 'refresh',
      refuses: [401, 'invalid_refresh_token'],
      present: (token) => service.post('/auth/refresh', undefined, withCookie(`refresh=${token}`)),
    },
    confirm: {
      takes: 'confirmation',
      refuses: [400, 'invalid_token'],
      present: (token, { kinds }) => service.get(`/auth/confirm/${token}`, { token: kinds.access }),
    },
    'confirm, posted': {
      takes: 'confirmation',
      refuses: [400, 'invalid_token'],
      present: (token, { password }) => service.post('/auth/confirm', { token, password }),
    },
    'e-mail confirm': {
      takes: 'address change',
      refuses: [400, 'invalid_token'],
      present: (token, { kinds }) => service.get(`/auth/email/confirm/${token}`, { token: kinds.access }),
    },
    'e-mail confirm, posted': {
      takes: 'address change',
      refuses: [400, 'invalid_token'],
      present: (token, { password }) => service.post('/auth/email/confirm', { token, password }),
    },
    reset: {
      takes: 'password reset',
      refuses: [400, 'invalid_token'],
      present: (token) => service.post('/auth/password/reset', { token, newPassword: 'the other password' }),
    },
  };

  async function everyOtherKindIsRefused(t: Test, who: Somebody): Promise<void> {
    for (const [use, { takes, refuses, present }] of Object.entries(uses)) {
      for (const [kind, token] of Object.entries(who.kinds).filter(([kind]) => kind !== takes)) {
        const { status, body, headers } = await present(token, who);
        t.same([status, body?.code], refuses, `${kind} as ${use}`);
        t.notOk(headers['set-cookie']?.includes(token), 'it sets no cookie of it');
      }
    }
  }

  async function noOtherKindIsASession(t: Test, { kinds }: Somebody): Promise<void> {
    for (const [kind, token] of Object.entries(kinds).filter(([kind]) => kind !== 'access')) {
      for (const path of [`/auth/confirm/${kinds.confirmation}`, `/auth/email/confirm/${kinds['address change']}`]) {
        t.equal((await service.get(path, { token })).status, 401, `${kind} as the session of a link`);
      }
      t.equal((await service.post('/auth/logout', undefined, { token })).status, 401, `${kind} to log out`);
    }
  }

  async function ownKindWorks(t: Test, who: Somebody, order: readonly string[]): Promise<void> {
    for (const use of order) {
      const { takes, present } = uses[use] as (typeof uses)[string];
      t.match((await present(who.kinds[takes], who)).status, /^20[04]$/, `${takes} as ${use}`);
    }
  }

  await t.test('C07: each kind of token is good for its own purpose, and for no other', async (t) => {
    const [mover, forgetful] = [await somebody(), await somebody()];
    for (const who of [mover, forgetful]) {
      await everyOtherKindIsRefused(t, who);
      await noOtherKindIsASession(t, who);
      const { user } = (await service.get('/auth/me', { token: who.kinds.access })).body;
      t.match(user, { email: who.email, confirmed: false }, 'none of it has done anything');
    }
    // Whoever follows the link to the new address voids the reset, and the other way round.
    const harmless = ['bearer', 'cookie', 'refresh', 'refresh cookie', 'confirm', 'confirm, posted', 'gateway'];
    await ownKindWorks(t, mover, [...harmless, 'e-mail confirm']);
    await ownKindWorks(t, forgetful, [...harmless, 'reset']);
  });

  await t.test('C05: a confirmation link works a second before its end, and not a second past it', async (t) => {
    const [early, late] = [await register(service), await register(service)];
    const tokens = [await confirmationToken(service, early), await confirmationToken(service, late)] as const;
    const moveTo = (token: string, seconds: number) => {
      holdClock(service.clock, new Date((Number(decodeJwt(token).exp) + seconds) * 1000));
    };
    moveTo(tokens[0], -60);
    const session = await logIn(service, early);
    moveTo(tokens[0], -1);
    const before = await service.get(`/auth/confirm/${tokens[0]}`, { token: session });
    t.equal(before.status, 200);
    t.equal(before.body.status, 'confirmed');

    moveTo(tokens[1], 1);
    const lateSession = await logIn(service, late);
    const byLink = await service.get(`/auth/confirm/${tokens[1]}`, { token: lateSession });
    t.match({ status: byLink.status, ...byLink.body }, { status: 410, code: 'expired_token' });
    const byPassword = await service.post('/auth/confirm', { token: tokens[1], password: late.password });
    t.match({ status: byPassword.status, ...byPassword.body }, { status: 410, code: 'expired_token' });
    t.equal((await service.get('/auth/me', { token: lateSession })).body.user.confirmed, false);
  });
});
