import { createLocalJWKSet, createRemoteJWKSet, errors, type JWTVerifyGetKey, jwtVerify } from 'jose';
import t from 'tap';
import { publicationLeadSeconds, renewSigningKeys } from '../../src/tokens/signing-keys.ts';
import { confirmedPerson, logIn } from '../support/person.ts';
import { startService } from '../support/service.ts';

t.test('the published keys', async (t) => {
  const service = await startService(t);
  const person = await confirmedPerson(service);
  const demands = { issuer: 'http://localhost:3000', audience: 'http://localhost:3000', typ: 'at+jwt', algorithms: ['ES256'] };
  const verify = (token: string, keys: JWTVerifyGetKey) => jwtVerify(token, keys, demands);

  t.test('J17: they are public in every member, named, and cacheable for a while', async (t) => {
    const { status, headers, body } = await service.get('/.well-known/jwks.json');
    t.equal(status, 200);
    t.match(headers, { 'content-type': /^application\/json/, 'set-cookie': undefined });
    t.strictSame(headers['cache-control'], 'public, max-age=300');
    t.strictSame(Object.keys(body), ['keys']);
    t.ok(body.keys.length > 0);
    for (const key of body.keys) {
      t.strictSame(Object.keys(key).sort(), ['alg', 'crv', 'kid', 'kty', 'use', 'x', 'y']);
      t.match(key, { kty: 'EC', crv: 'P-256', use: 'sig', alg: 'ES256', kid: /^[\w-]{8,}$/, x: /^[\w-]{43}$/, y: /^[\w-]{43}$/ });
    }
    t.equal(new Set(body.keys.map(({ kid }: { kid: string }) => kid)).size, body.keys.length);
    const head = await service.request('HEAD', '/.well-known/jwks.json');
    t.match(head, { status: 200, text: '', headers: { 'cache-control': 'public, max-age=300' } });
  });

  t.test('jose verifies an access token with nothing else', async (t) => {
    const keys = createLocalJWKSet((await service.get('/.well-known/jwks.json')).body);
    const { payload, protectedHeader } = await verify(person.token, keys);
    t.match(protectedHeader, { alg: 'ES256', typ: 'at+jwt', kid: String });
    const { id, username, email } = person;
    t.match(payload, { sub: id, username, email, role: 'user', sid: String, jti: String, confirmed: false });
    const [head, claims, signature = ''] = person.token.split('.');
    const forged = `${head}.${claims}.${signature.split('').reverse().join('')}`;
    await t.rejects(verify(forged, keys), errors.JWSSignatureVerificationFailed);
  });

  t.test('jose fetches them over the network, and knows a new one before it signs', async (t) => {
    const { clock, db, keyRing, secrets } = service.app.services;
    const options = { ...demands, clockTolerance: publicationLeadSeconds + 10 };
    const keys = createRemoteJWKSet(new URL('/.well-known/jwks.json', await service.listen()), {
      cooldownDuration: Number.POSITIVE_INFINITY,
    });
    await renewSigningKeys(db, { secrets, clock, decide: () => 'after publication' });
    await keyRing.refresh();
    const before = await jwtVerify(await logIn(service, person), keys, options);

    service.clock.advance({ seconds: publicationLeadSeconds + 1 });
    const after = await jwtVerify(await logIn(service, person), keys, options);
    t.not(after.protectedHeader.kid, before.protectedHeader.kid);
    t.equal(after.payload.sub, person.id);
    t.equal(
      (await jwtVerify(person.token, keys, options)).payload.sub,
      person.id,
      'those that the old one signed are good as long as they live',
    );
  });

  t.test("the keys of another service do not verify this one's tokens", async (t) => {
    const stranger = await startService(t);
    const keys = createLocalJWKSet((await stranger.get('/.well-known/jwks.json')).body);
    await t.rejects(verify(person.token, keys), errors.JWKSNoMatchingKey);
  });
});
