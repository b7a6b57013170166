import { generateKeyPairSync, sign } from 'node:crypto';
import { CompactEncrypt, exportJWK, importSPKI } from 'jose';
import t from 'tap';
import { opensAll, opensNothing } from '../support/forged.ts';
import { compact, ecdsa, hmac, signed, signWith, startServiceWithToken, testSecret } from '../support/forger.ts';

const hashes = { HS256: 'sha256', HS384: 'sha384', HS512: 'sha512' } as const;

t.test('access tokens of other algorithms and types', async (t) => {
  const { service, key, privateKey, person, claims, header, head, payload, signature } = await startServiceWithToken(t);

  await t.test('J04 exactly one algorithm is taken, even of the genuine key and of the configured secret', async (t) => {
    await opensAll(t, service, signed(header, claims, ecdsa('sha256', privateKey)), person.username);
    for (const alg of [
      'ES384',
      'ES512',
      'ES256K',
      'es256',
      'Es256',
      'ES256 ',
      'ECDSA',
      'PS256',
      'RS256',
      'EdDSA',
      'HS256',
      '1.2.840.10045.4.3.2',
      '',
      undefined,
      null,
      ['ES256'],
      { 0: 'ES256' },
    ]) {
      for (const hash of ['sha256', 'sha384', 'sha512']) {
        await opensNothing(t, service, signed({ ...header, alg }, claims, ecdsa(hash, privateKey)), `${JSON.stringify(alg)} over ${hash}`);
      }
    }
    for (const hash of ['sha1', 'sha384', 'sha512']) {
      await opensNothing(t, service, signed(header, claims, ecdsa(hash, privateKey)), `ES256 over ${hash}`);
    }
    for (const [alg, hash] of Object.entries(hashes)) {
      await opensNothing(t, service, signed({ ...header, alg }, claims, hmac(hash, testSecret)), alg);
      await opensNothing(t, service, signed({ ...header, alg }, claims, hmac(hash, key.privateKey)), `${alg} with the private key`);
    }
    const others = {
      EdDSA: generateKeyPairSync('ed25519'),
      RS256: generateKeyPairSync('rsa', { modulusLength: 2048 }),
      ES256K: generateKeyPairSync('ec', { namedCurve: 'secp256k1' }),
    };
    for (const [alg, { privateKey: other }] of Object.entries(others)) {
      const signer = (input: Buffer) => sign(alg === 'EdDSA' ? null : 'sha256', input, { key: other, dsaEncoding: 'ieee-p1363' });
      for (const named of [alg, 'ES256'])
        await opensNothing(t, service, signed({ ...header, alg: named }, claims, signer), `${alg} as ${named}`);
    }
  });

  await t.test('J04 a token that is wrapped in another, or encrypted, is none', async (t) => {
    const publicKey = await importSPKI(key.publicKey, 'ECDH-ES', { extractable: true });
    for (const enc of ['A128GCM', 'A256CBC-HS512']) {
      const encrypt = (inner: string) =>
        new CompactEncrypt(Buffer.from(inner))
          .setProtectedHeader({ alg: 'ECDH-ES', enc, typ: 'at+jwt', kid: key.kid, cty: 'JWT' })
          .encrypt(publicKey);
      // Anybody can encrypt for a published key: that proves nothing of who did.
      await opensNothing(t, service, await encrypt(JSON.stringify(claims)), `claims encrypted with ${enc}`);
      await opensNothing(t, service, await encrypt(person.token), `a genuine token encrypted with ${enc}`);
    }
    await opensNothing(
      t,
      service,
      signed({ alg: 'dir', enc: 'A256GCM', typ: 'at+jwt' }, claims, hmac('sha256', '')),
      'encryption by name only',
    );
    const nested = signed({ ...header, cty: 'JWT' }, person.token, ecdsa('sha256', privateKey));
    await opensNothing(t, service, nested, 'a genuine token as the content of another');
    await opensNothing(
      t,
      service,
      compact({ alg: 'none', typ: 'at+jwt', cty: 'JWT', kid: key.kid }, person.token),
      'a genuine token inside an unsigned one',
    );
    const flattened = JSON.stringify({ payload, protected: head, signature });
    await opensNothing(t, service, flattened, 'the JSON serialization');
    await opensNothing(t, service, Buffer.from(flattened).toString('base64url'), 'the JSON serialization in base64');
    const jwks = await exportJWK(publicKey);
    await opensNothing(t, service, compact(header, { ...claims, cnf: { jwk: jwks } }, signature), 'a proof of possession that is none');
  });

  await t.test('J08 the type at+jwt alone is taken for an access token', async (t) => {
    await opensAll(t, service, await signWith(key, claims, { typ: 'at+jwt' }), person.username);
    const types = [
      'JWT',
      'jwt',
      'at',
      'refresh+jwt',
      'id+jwt',
      'logout+jwt',
      'dpop+jwt',
      'secevent+jwt',
      'confirmation+jwt',
      'password-reset+jwt',
    ];
    const spellings = [
      'email-change+jwt',
      'disown+jwt',
      'at+jwt2',
      'xat+jwt',
      'at+jwt ',
      ' at+jwt',
      'at jwt',
      'at+JWE',
      'text/at+jwt',
      'at+jwt;x=y',
      '',
      'AT＋JWT',
      'at+jwt\u0000',
    ];
    for (const typ of [undefined, null, 1, true, [], ['at+jwt'], {}, ...types, ...spellings]) {
      await opensNothing(t, service, await signWith(key, claims, { typ }), `typ ${JSON.stringify(typ)}`);
    }
    await opensNothing(t, service, await signWith(key, { ...claims, typ: 'at+jwt' }, { typ: undefined }), 'the type among the claims');
    await opensNothing(t, service, await signWith(key, claims, { typ: undefined, cty: 'at+jwt' }), 'the type of the content');
  });
});
