import { createPrivateKey, createPublicKey, generateKeyPairSync, sign } from 'node:crypto';
import { decodeJwt, exportJWK, importSPKI, type JWTPayload } from 'jose';
import t, { type Test } from 'tap';
import { accessClaims, compact, ecdsa, hmac, signed, signWith, startServiceWithKey, testSecret } from '../support/forger.ts';
import { logIn, register } from '../support/person.ts';

type Service = Awaited<ReturnType<typeof startServiceWithKey>>;

t.test('forged access tokens', async (t) => {
  const service = await startServiceWithKey(t);
  const person = await register(service);
  const genuine = decodeJwt(await logIn(service, person));
  const { key } = service;
  const privateKey = createPrivateKey(key.privateKey);

  /** The claims of a live session, with times that are right now. */
  const claims = (overrides: Readonly<Record<string, unknown>> = {}): JWTPayload =>
    accessClaims({ ...genuine, ...overrides, iat: overrides['iat'] ?? genuine.iat });

  await t.test('what the tests sign themselves is as good as what the service signs', async (t) => {
    const { status, body } = await service.get('/auth/me', { token: await signWith(key, claims()) });
    t.equal(status, 200);
    t.equal(body.user.id, person.id);
  });

  await t.test('J01: a token without a signature is refused, however its algorithm is spelt', async (t) => {
    for (const alg of ['none', 'None', 'NONE', 'nOnE', '']) {
      const token = compact({ alg, typ: 'at+jwt', kid: key.kid }, claims());
      await refused(t, service, token);
      await refused(t, service, token.slice(0, -1));
    }
    const whole = await signWith(key, claims());
    const cut = whole.slice(0, whole.lastIndexOf('.'));
    for (const token of [cut, `${cut}.`, `${cut}.AA`]) await refused(t, service, token);
  });

  await t.test('J02: the public key is no secret to sign with, in whatever form it is taken', async (t) => {
    const pem = key.publicKey;
    const jwk = await exportJWK(await importSPKI(pem, 'ES256', { extractable: true }));
    const bare = pem.replace(/-----[A-Z ]+-----|\s/g, '');
    const forms = [
      pem,
      pem.trim(),
      `${pem}\n`,
      pem.replaceAll('\n', '\r\n'),
      bare,
      createPublicKey(pem).export({ type: 'spki', format: 'der' }),
      JSON.stringify(jwk),
      String(jwk.x),
      Buffer.from(String(jwk.x), 'base64url'),
    ];
    for (const form of forms) {
      for (const [alg, hash] of [
        ['HS256', 'sha256'],
        ['HS384', 'sha384'],
        ['HS512', 'sha512'],
      ] as const) {
        await refused(t, service, signed({ alg, typ: 'at+jwt', kid: key.kid }, claims(), hmac(hash, form)));
      }
    }
  });

  await t.test('J03: no empty, common or configured secret signs an access token, known kid or not', async (t) => {
    for (const secret of ['', 'secret', 'changeme', 'your-256-bit-secret', testSecret]) {
      for (const kid of [key.kid, 'unknown', '', undefined]) {
        await refused(t, service, signed({ alg: 'HS256', typ: 'at+jwt', kid }, claims(), hmac('sha256', secret)));
      }
    }
  });

  await t.test('J03: a key that the token brings along is not looked at', async (t) => {
    const pair = generateKeyPairSync('ec', { namedCurve: 'P-256' });
    const jwk = pair.publicKey.export({ format: 'jwk' });
    for (const extra of [{ jwk }, { jku: 'https://elsewhere.example/jwks' }, { x5u: 'https://elsewhere.example/cert' }, {}]) {
      await refused(
        t,
        service,
        signed({ alg: 'ES256', typ: 'at+jwt', kid: key.kid, ...extra }, claims(), ecdsa('sha256', pair.privateKey)),
      );
    }
  });

  await t.test('J04: only ES256 is taken, even of the genuine key', async (t) => {
    const header = { typ: 'at+jwt', kid: key.kid };
    const accepted = await service.get('/auth/me', {
      token: signed({ ...header, alg: 'ES256' }, claims(), ecdsa('sha256', privateKey)),
    });
    t.equal(accepted.status, 200);
    await refused(t, service, signed({ ...header, alg: 'ES384' }, claims(), ecdsa('sha384', privateKey)));
    await refused(t, service, signed({ ...header, alg: 'ES512' }, claims(), ecdsa('sha512', privateKey)));
    await refused(t, service, signed({ ...header, alg: 'es256' }, claims(), ecdsa('sha256', privateKey)));
    const ed25519 = generateKeyPairSync('ed25519').privateKey;
    await refused(
      t,
      service,
      signed({ ...header, alg: 'EdDSA' }, claims(), (input) => sign(null, input, ed25519)),
    );
    const rsa = generateKeyPairSync('rsa', { modulusLength: 2048 }).privateKey;
    await refused(
      t,
      service,
      signed({ ...header, alg: 'RS256' }, claims(), (input) => sign('sha256', input, rsa)),
    );
  });

  await t.test('J08: only the type at+jwt is taken', async (t) => {
    for (const typ of [undefined, 'JWT', 'jwt', 'refresh+jwt', 'confirmation+jwt', 'id+jwt', '', 'at+jwt2']) {
      await refused(t, service, await signWith(key, claims(), { typ }));
    }
    t.equal((await service.get('/auth/me', { token: await signWith(key, claims(), { typ: 'at+jwt' }) })).status, 200);
  });

  await t.test('J09: times that are missing, no numbers or beyond reason are refused', async (t) => {
    const seconds = Math.floor(Date.now() / 1000);
    const wrong = [
      { exp: undefined },
      { exp: `${seconds + 300}` },
      { exp: seconds * 1000 },
      { exp: -1 },
      { nbf: seconds + 3600 },
      { iat: seconds + 86_400 },
    ];
    for (const overrides of wrong) await refused(t, service, await signWith(key, claims(overrides)));
    const infinite = JSON.stringify(claims({ exp: 7777777777 })).replace('7777777777', '1e400');
    await refused(t, service, signed({ alg: 'ES256', typ: 'at+jwt', kid: key.kid }, infinite, ecdsa('sha256', privateKey)));
  });

  await t.test('J11: a genuine signature for nobody, or for a session that is not theirs, is refused', async (t) => {
    const other = await register(service);
    const nobody = '01946d5e-7b1c-7a3e-8f2d-0123456789ab';
    const wrong = [
      { sub: nobody },
      { sid: nobody },
      { sub: other.id },
      { sub: 7 },
      { sub: '' },
      { sub: null },
      { sid: '' },
      { sid: genuine['sub'] },
    ];
    for (const overrides of wrong) await refused(t, service, await signWith(key, claims(overrides)));
  });

  await t.test('J15: a token that is over is refused, and the answer says so', async (t) => {
    const person = await register(service);
    const token = await logIn(service, person);
    const endMs = Number(decodeJwt(token).exp) * 1000;
    service.clock.offsetMs = endMs - 20_000 - Date.now();
    t.equal((await service.get('/auth/me', { token })).status, 200);
    for (const seconds of [1, 61]) {
      service.clock.offsetMs = endMs + seconds * 1000 - Date.now();
      await refused(t, service, token);
    }
    service.clock.offsetMs = -30_000;
    await refused(t, service, await signWith(key, accessClaims({ sub: person.id, sid: decodeJwt(token)['sid'] })));
    service.clock.offsetMs = 0;
  });

  await t.test('J14: a token is presented in one way only', async (t) => {
    const token = await signWith(key, claims());
    const present = async (authorization: string) => (await service.get('/auth/me', { headers: { authorization } })).status;
    t.equal(await present(`Bearer ${token}`), 200);
    t.equal(await present(`bearer ${token}`), 200, 'schemes have no case');
    const others = [
      `Bearer  ${token}`,
      `Bearer\t${token}`,
      ` Bearer\u00a0${token}`,
      `Bearer${token}`,
      `Bearer ${token},`,
      `Bearer "${token}"`,
    ];
    for (const authorization of [...others, token, `Basic ${token}`, `Token ${token}`, 'Bearer', 'Bearer ', `Bearer ${token} ${token}`]) {
      t.equal(await present(authorization), 401, authorization.slice(0, 12));
    }
  });

  await t.test('J14: a token in the query or in a body is not looked at', async (t) => {
    const token = await signWith(key, claims());
    for (const name of ['access_token', 'token', 'authorization', 'Authorization']) {
      const { status, body } = await service.get(`/auth/me?${name}=${token}`);
      t.equal(status, 401);
      t.equal(body.code, 'unauthenticated');
    }
    t.equal((await service.post('/auth/logout', { access_token: token })).status, 401);
    t.equal((await service.get('/auth/me', { token })).status, 200);
  });
});

/** Asserts that a token opens nothing: neither its user's own data nor, which would be worse, a guarded route. */
async function refused(t: Test, service: Service, token: string): Promise<void> {
  const { status, headers, body } = await service.get('/auth/me', { token });
  t.match({ status, ...body }, { status: 401, code: 'unauthenticated' });
  t.equal(headers['www-authenticate'], 'Bearer error="invalid_token"');
}
