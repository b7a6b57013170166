import { decodeJwt } from 'jose';
import t from 'tap';
import { confirmationToken, logIn, register } from '../support/person.ts';
import { startService } from '../support/service.ts';

t.test('kinds of tokens', async (t) => {
  const service = await startService(t);

  await t.test('C07: each kind of token is good for its own purpose, and for no other', async (t) => {
    const person = await register(service);
    const login = await service.post('/auth/login', { email: person.email, password: person.password });
    const session: string = login.body.accessToken;
    const kinds = {
      access: session,
      refresh: login.body.refreshToken as string,
      confirmation: await confirmationToken(service, person),
    };
    const uses = {
      access: (token: string) => service.get('/auth/me', { token }),
      refresh: (token: string) => service.post('/auth/refresh', { refreshToken: token }),
      confirmation: (token: string) => service.get(`/auth/confirm/${token}`, { token: session }),
    };
    const elsewhere = {
      'logging out': (token: string) => service.post('/auth/logout', undefined, { token }),
      'a session of the confirmation': (token: string) => service.get(`/auth/confirm/${kinds.confirmation}`, { token }),
      'confirming with the password': (token: string) => service.post('/auth/confirm', { token, password: person.password }),
    };
    const refusals = {
      access: [401, 'unauthenticated'],
      refresh: [401, 'invalid_refresh_token'],
      confirmation: [400, 'invalid_token'],
    } as const;

    for (const [use, present] of Object.entries(uses)) {
      for (const [kind, token] of Object.entries(kinds).filter(([kind]) => kind !== use)) {
        const { status, body } = await present(token);
        t.same([status, body.code], refusals[use as keyof typeof refusals], `${kind} as ${use}`);
      }
    }
    for (const token of [kinds.refresh, kinds.confirmation]) {
      t.equal((await elsewhere['logging out'](token)).status, 401);
      t.equal((await elsewhere['a session of the confirmation'](token)).status, 401);
    }
    for (const token of [kinds.refresh, kinds.access]) t.equal((await elsewhere['confirming with the password'](token)).status, 400);

    t.equal((await service.get('/auth/me', { token: session })).body.user.confirmed, false, 'none of it confirmed the address');
    for (const [use, present] of Object.entries(uses)) {
      t.equal((await present(kinds[use as keyof typeof kinds])).status, 200, `${use} as ${use}`);
    }
  });

  await t.test('C05: a confirmation link works a second before its end, and not a second past it', async (t) => {
    const [early, late] = [await register(service), await register(service)];
    const tokens = [await confirmationToken(service, early), await confirmationToken(service, late)] as const;
    const moveTo = (token: string, seconds: number) => {
      service.clock.offsetMs = (Number(decodeJwt(token).exp) + seconds) * 1000 - Date.now();
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
