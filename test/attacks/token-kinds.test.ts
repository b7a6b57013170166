import t from 'tap';
import { startHttpService } from '../support/http.ts';
import { disownPath } from '../support/pages.ts';
import { confirmationToken, emailChangeToken, openSession, register, resetToken } from '../support/person.ts';

t.test('C07 no token is good for anything but what it was made for', async (t) => {
  const service = await startHttpService(t, { RATE_LIMIT: 'off' });

  /** Somebody, with one token of each kind that is theirs. */
  async function somebody() {
    const person = await register(service);
    const { accessToken, refreshToken } = await openSession(service, person);
    const kinds = {
      access: accessToken,
      refresh: refreshToken,
      confirmation: await confirmationToken(service, person),
      disown: (await disownPath(service, person)).replace('/auth/disown/', ''),
      reset: await resetToken(service, person),
      change: await emailChangeToken(service, { ...person, token: accessToken }, `next.${person.email}`),
    };
    return { ...person, kinds };
  }
  type Somebody = Awaited<ReturnType<typeof somebody>>;
  interface Place {
    readonly takes: keyof Somebody['kinds'];
    readonly refuses: readonly [status: number, code: string];
    readonly use: (token: string, who: Somebody) => ReturnType<typeof service.get>;
  }

  const session = [401, 'unauthenticated'] as const;
  const refresh = [401, 'invalid_refresh_token'] as const;
  const link = [400, 'invalid_token'] as const;
  const byCookie = (cookie: string) => ({ headers: { 'sec-fetch-site': 'same-origin', cookie } });
  const newPassword = 'one that was never used';
  /** Every place where a token is taken, in an order in which what each of them does leaves the rest usable. */
  const places: Readonly<Record<string, Place>> = {
    bearer: { takes: 'access', refuses: session, use: (token) => service.get('/auth/me', { token }) },
    'session cookie': { takes: 'access', refuses: session, use: (token) => service.get('/auth/me', byCookie(`access=${token}`)) },
    'a proxy’s question': { takes: 'access', refuses: session, use: (token) => service.get('/auth/verify', { token }) },
    'refresh cookie': {
      takes: 'refresh',
      refuses: refresh,
      use: (token) => service.post('/auth/refresh', undefined, byCookie(`refresh=${token}`)),
    },
    refresh: { takes: 'refresh', refuses: refresh, use: (refreshToken) => service.post('/auth/refresh', { refreshToken }) },
    'disown, looked at': { takes: 'disown', refuses: link, use: (token) => service.get(`/auth/disown/${token}`) },
    confirm: {
      takes: 'confirmation',
      refuses: link,
      use: (token, { kinds }) => service.get(`/auth/confirm/${token}`, { token: kinds.access }),
    },
    'confirm, posted': {
      takes: 'confirmation',
      refuses: link,
      use: (token, { password }) => service.post('/auth/confirm', { token, password }),
    },
    reset: { takes: 'reset', refuses: link, use: (token) => service.post('/auth/password/reset', { token, newPassword }) },
    'e-mail confirm': {
      takes: 'change',
      refuses: link,
      use: (token, { kinds }) => service.get(`/auth/email/confirm/${token}`, { token: kinds.access }),
    },
    'e-mail confirm, posted': {
      takes: 'change',
      refuses: link,
      use: (token, { password }) => service.post('/auth/email/confirm', { token, password }),
    },
    disown: { takes: 'disown', refuses: link, use: (token) => service.post('/auth/disown', { token }) },
  };

  const who = await somebody();
  for (const [place, { takes, refuses, use }] of Object.entries(places)) {
    for (const [kind, token] of Object.entries(who.kinds).filter(([each]) => each !== takes)) {
      const answer = await use(token, who);
      t.strictSame([answer.status, answer.body?.code], [...refuses], `${kind} as ${place}`);
      t.notOk(answer.headers['set-cookie']?.includes(token), 'and it is not set as a cookie');
    }
  }
  for (const [kind, token] of Object.entries(who.kinds).filter(([each]) => each !== 'access')) {
    for (const path of [`/auth/confirm/${who.kinds.confirmation}`, `/auth/email/confirm/${who.kinds.change}`]) {
      t.equal((await service.get(path, { token })).status, 401, `${kind} as the session of a link`);
    }
    for (const scheme of ['Basic', 'Token', 'JWT']) {
      t.equal((await service.get('/auth/me', { headers: { authorization: `${scheme} ${token}` } })).status, 401, `${kind} as ${scheme}`);
    }
  }
  const me = await service.get('/auth/me', { token: who.kinds.access });
  t.match(me.body.user, { email: who.email, confirmed: false }, 'none of it has done anything');

  t.test('C07 and each is good for that', async (t) => {
    // Each of these ends what the others of them need.
    for (const last of ['reset', 'e-mail confirm', 'e-mail confirm, posted', 'disown']) {
      const owner = await somebody();
      const harmless = ['bearer', 'session cookie', 'a proxy’s question', 'refresh cookie', 'disown, looked at'];
      const confirms = last === 'disown' ? [] : ['confirm', 'confirm, posted'];
      for (const place of [...harmless, ...confirms, last]) {
        const { takes, use } = places[place] as Place;
        const { status } = await use(owner.kinds[takes], owner);
        // The proxy is told that the account is not confirmed, and thereby whose it is.
        t.match(status, place === 'a proxy’s question' ? 403 : /^20[04]$/, `${takes} as ${place}`);
      }
    }
  });
});
