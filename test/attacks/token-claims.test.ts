import { decodeJwt } from 'jose';
import t from 'tap';
import { opensAll, opensNothing } from '../support/forged.ts';
import { ecdsa, signed, signWith, startServiceWithToken } from '../support/forger.ts';
import { holdClock } from '../support/held-clock.ts';
import { believedPerson, logIn, register } from '../support/person.ts';
import { refused } from '../support/refusal.ts';

t.test('genuine signatures under claims that make no sense', async (t) => {
  const { service, key, privateKey, person, claims, header } = await startServiceWithToken(t);
  const { clock } = service;
  const forge = (overrides: Readonly<Record<string, unknown>>) => signWith(key, withoutUndefined({ ...claims, ...overrides }));
  const forgeText = (from: string, to: string) => {
    const text = JSON.stringify(claims).replace(from, to);
    t.not(text, JSON.stringify(claims));
    return signed(header, text, ecdsa('sha256', privateKey));
  };
  const seconds = () => Math.floor(clock.now().getTime() / 1000);

  await t.test('J09 times that are missing, no whole numbers or beyond reason are refused', async (t) => {
    const now = seconds();
    await opensAll(t, service, await forge({ iat: now, exp: now + 300 }), person.username);
    const noTimes = [
      undefined,
      null,
      '',
      String(now + 300),
      `${now + 300}.0`,
      true,
      {},
      [now + 300],
      { $numberLong: now + 300 },
      new Date(1e3 * (now + 300)),
    ];
    for (const value of [...noTimes, -1, 0, now + 300.5, now * 1000, now * 1e6, 2 ** 53, -now, now - 1]) {
      await opensNothing(t, service, await forge({ exp: value }), `exp ${JSON.stringify(value)}`);
    }
    for (const value of [...noTimes, -1, now + 0.5, now * 1000, -now, now + 86_400, now + 60]) {
      await opensNothing(t, service, await forge({ iat: value, exp: now + 300 }), `iat ${JSON.stringify(value)}`);
      if (typeof value === 'number')
        await opensNothing(t, service, await forge({ iat: value, exp: value + 300 }), `iat and exp at ${value}`);
    }
    await opensNothing(t, service, await forge({ iat: now - 7 * 86_400, exp: now + 300 }), 'one that lives longer than any token');
    for (const value of [...noTimes, now + 60, now + 86_400, now * 1000]) {
      if (value !== undefined) await opensNothing(t, service, await forge({ nbf: value }), `nbf ${JSON.stringify(value)}`);
    }
  });

  await t.test('J09 an end that is written as no plain number, or twice, is refused', async (t) => {
    const now = seconds();
    await opensAll(t, service, person.token, person.username);
    for (const text of ['1e400', '-1e400', '1e10', '9007199254740993', '253402300800', '1e-7', `${now + 300}.0000000001e9`]) {
      await opensNothing(t, service, forgeText(`"exp":${claims.exp}`, `"exp":${text}`), `exp is written ${text}`);
    }
    for (const text of ['Infinity', 'NaN', `0${now + 300}`, '0x7fffffff', `+${now + 300}`, `${now + 300}n`]) {
      await opensNothing(t, service, forgeText(`"exp":${claims.exp}`, `"exp":${text}`), `exp is written ${text}, which is no JSON`);
    }
    const twice = forgeText(`"exp":${claims.exp}`, `"exp":${claims.exp},"exp":${now - 10}`);
    await opensNothing(t, service, twice, 'an exp that comes twice, and is over');
  });

  await t.test('J09 issuer and audience are exactly ours, and no claim is more or less than it should be', async (t) => {
    const { iss = '' } = claims;
    const spellings = [
      '',
      `${iss}/`,
      ` ${iss}`,
      iss.toUpperCase(),
      iss.replace('http:', 'https:'),
      `${iss}.evil.example`,
      `${iss}@evil.example`,
      `${iss}\u0000`,
    ];
    const forms = [undefined, null, 0, true, {}, [], [iss, 'https://evil.example'], ['https://evil.example'], [[iss]]];
    for (const value of [...spellings, ...forms, '*', '.*', 'http://127.0.0.1:3000']) {
      await opensNothing(t, service, await forge({ iss: value }), `iss ${JSON.stringify(value)}`);
      await opensNothing(t, service, await forge({ aud: value }), `aud ${JSON.stringify(value)}`);
    }
    for (const value of [undefined, null, 1, 'true', 'yes', [true], {}]) {
      await opensNothing(t, service, await forge({ confirmed: value }), `confirmed ${JSON.stringify(value)}`);
    }
    for (const name of ['jti', 'username', 'email', 'role']) {
      for (const value of [undefined, null, 1, [claims[name]], { $ne: '' }]) {
        await opensNothing(t, service, await forge({ [name]: value }), `${name} ${JSON.stringify(value)}`);
      }
    }
    for (const more of [{ admin: true }, { scope: 'admin' }, { act: { sub: person.id } }, { roles: ['admin'] }, { nbf: seconds() - 5 }]) {
      await opensNothing(t, service, await forge(more), `more than there is: ${Object.keys(more)}`);
    }
    await opensAll(t, service, await forge({}), person.username);
  });

  await t.test('J11 a subject or a session that is none is refused', async (t) => {
    const other = await believedPerson(service);
    const ids = [
      undefined,
      null,
      '',
      0,
      7,
      true,
      [],
      {},
      'ada',
      '*',
      '%',
      "' or '1'='1",
      `${person.id}'--`,
      `${person.id}\u0000`,
      `${person.id} `,
      `urn:uuid:${person.id}`,
    ];
    const spellings = [
      person.id.toUpperCase(),
      person.id.replaceAll('-', ''),
      `{${person.id}}`,
      [person.id],
      { $ne: '' },
      `${person.id},${other.id}`,
    ];
    for (const value of [...ids, ...spellings]) {
      await opensNothing(t, service, await forge({ sub: value }), `sub ${JSON.stringify(value)}`);
      await opensNothing(t, service, await forge({ sid: value }), `sid ${JSON.stringify(value)}`);
    }
    // Whoever is not confirmed yet is looked up, and with them their session.
    const nobody = '01946d5e-7b1c-7a3e-8f2d-0123456789ab';
    const { sid } = decodeJwt(other.token);
    const unconfirmed = { confirmed: false };
    t.equal((await service.get('/auth/me', { token: await forge(unconfirmed) })).status, 200);
    for (const wrong of [{ sub: nobody }, { sid: nobody }, { sub: other.id }, { sid }, { sid: person.id }, { sub: claims['sid'] }]) {
      await opensNothing(t, service, await forge({ ...unconfirmed, ...wrong }), `not a pair: ${JSON.stringify(wrong)}`);
    }
    await opensAll(t, service, person.token, person.username);
  });

  await t.test('J11 whatever was signed for an account or a session dies with it', async (t) => {
    const ends = {
      'the account was deleted': async ({ token, password }: { token: string; password: string }) =>
        (await service.post('/auth/me/deletion', { password }, { token })).status,
      'they logged out': async ({ token }: { token: string }) => (await service.post('/auth/logout', undefined, { token })).status,
      'they ended it elsewhere': async (owner: { email: string; token: string; password: string }) =>
        (await service.request('DELETE', '/auth/sessions', { token: await logIn(service, owner) })).status,
      'they changed the password elsewhere': async (owner: { email: string; token: string; password: string }) => {
        const body = { currentPassword: owner.password, newPassword: 'the other password' };
        return (await service.request('PUT', '/auth/password', { token: await logIn(service, owner), body })).status;
      },
    };
    for (const [what, end] of Object.entries(ends)) {
      const owner = await believedPerson(service);
      const held = decodeJwt(owner.token);
      const forged = [await signWith(key, { ...held, role: 'admin' }), await signWith(key, { ...held, exp: Number(held.iat) + 600 })];
      await opensAll(t, service, owner.token, owner.username);
      for (const token of forged) t.equal((await service.get('/secret', { token })).status, 200);
      t.equal(await end(owner), 204, what);
      for (const token of [owner.token, ...forged]) await opensNothing(t, service, token, what);
    }
  });

  await t.test('J15 a token ends with its last second, and a clock that is behind is forgiven 5 s', async (t) => {
    const someone = await register(service);
    const token = await logIn(service, someone);
    const { iat = 0, exp = 0 } = decodeJwt(token);
    const at = async (second: number, milliseconds = 0) => {
      // A clock that stands: to the millisecond.
      holdClock(clock, new Date(second * 1000 + milliseconds));
      return service.get('/auth/me', { token });
    };
    t.equal(exp - iat, 300);
    for (const second of [iat - 5, iat, exp - 1]) t.equal((await at(second)).status, 200, `at ${second - iat} s`);
    t.equal((await at(exp, -1)).status, 200, 'in its last millisecond');
    for (const second of [exp, exp + 1, exp + 5, exp + 61, exp + 86_400, iat - 6, iat - 30, iat - 86_400]) {
      const answer = await at(second);
      refused(t, answer, 401, 'unauthenticated', `at ${second - iat} s`);
      t.equal(answer.headers['www-authenticate'], 'Bearer error="invalid_token"');
      await opensNothing(t, service, token, `at ${second - iat} s`);
    }
    t.equal((await service.get('/auth/me')).headers['www-authenticate'], 'Bearer', 'who presents none is told of no error');
    holdClock(clock, new Date(exp * 1000));
    t.equal((await service.get('/auth/me', { token: await logIn(service, someone) })).status, 200, 'a new one is good');
  });
});

function withoutUndefined(claims: Readonly<Record<string, unknown>>): Record<string, unknown> {
  return Object.fromEntries(Object.entries(claims).filter(([, value]) => value !== undefined));
}
