import { createHash, createPublicKey } from 'node:crypto';
import t from 'tap';
import { opensAll, opensNothing } from '../support/forged.ts';
import { compact, hmac, signed, signWith, startServiceWithToken } from '../support/forger.ts';

const hashes = { HS256: 'sha256', HS384: 'sha384', HS512: 'sha512' } as const;

t.test('access tokens that nobody signed', async (t) => {
  const { service, key, person, claims, header, head, payload, signature } = await startServiceWithToken(t);
  const admin = { ...claims, role: 'admin' };
  const part = (value: object) => Buffer.from(JSON.stringify(value)).toString('base64url');

  await t.test('J01 no token without a signature is taken, however its algorithm is spelt', async (t) => {
    await opensAll(t, service, person.token, person.username);
    const spellings = ['none', 'None', 'NONE', 'nOnE', 'none ', ' none', 'none\u0000', 'nonе', '', 'ES256', 'es256'];
    for (const alg of [...spellings, undefined, null, false, 0, [], ['none'], ['ES256', 'none'], { alg: 'none' }]) {
      for (const kid of [key.kid, undefined]) {
        const token = compact({ alg, typ: 'at+jwt', kid }, admin);
        await opensNothing(t, service, token, `${JSON.stringify(alg)} with an empty signature`);
        await opensNothing(t, service, token.slice(0, -1), `${JSON.stringify(alg)} without its third part`);
        await opensNothing(t, service, `${token}${signature}`, `${JSON.stringify(alg)} with the signature of another`);
      }
    }
    const twice = `{"alg":"ES256","typ":"at+jwt","kid":"${key.kid}","alg":"none"}`;
    for (const text of [
      twice,
      twice.replace('"ES256"', '"none"').replace(/"none"}$/, '"ES256"}'),
      twice.replace(/"alg":"none"}$/, '"ALG":"none"}'),
    ]) {
      await opensNothing(t, service, compact(text, claims), `members that come twice: ${text}`);
    }
    for (const token of [
      `${head}.${payload}`,
      `${head}.${payload}.`,
      `${head}..${signature}`,
      `.${payload}.${signature}`,
      `${head}.${part(admin)}.${signature}`,
    ]) {
      await opensNothing(t, service, token, 'a part cut off or exchanged');
    }
  });

  await t.test('J02 the published key is no secret to sign with, in whatever form it is taken', async (t) => {
    const { keys } = (await service.get('/.well-known/jwks.json')).body;
    const published = keys.find(({ kid }: { kid: string }) => kid === key.kid);
    const pem = createPublicKey({ key: published, format: 'jwk' }).export({ type: 'spki', format: 'pem' }).toString();
    t.equal(pem, key.publicKey, 'what is published is what verifies');
    const { kty, crv, x, y } = published;
    const der = createPublicKey(pem).export({ type: 'spki', format: 'der' });
    const point = Buffer.concat([Buffer.from([4]), Buffer.from(x, 'base64url'), Buffer.from(y, 'base64url')]);
    const bare = pem.replace(/-----[A-Z ]+-----|\s/g, '');
    const forms = {
      PEM: pem,
      'PEM without its last line break': pem.trim(),
      'PEM with another line break': `${pem}\n`,
      'PEM with CRLF': pem.replaceAll('\n', '\r\n'),
      'PEM with \\n in letters': pem.replaceAll('\n', '\\n'),
      'PEM in one line': pem.replaceAll('\n', ''),
      'without armour': bare,
      'without armour, base64url': der.toString('base64url'),
      DER: der,
      'the point': point,
      'the point in hexadecimal': point.toString('hex'),
      'JWK as published': JSON.stringify(published),
      'JWK of the needed members': JSON.stringify({ kty, crv, x, y }),
      'JWK in the order of its thumbprint': JSON.stringify({ crv, kty, x, y }),
      'the key set': JSON.stringify({ keys }),
      x,
      'x in bytes': Buffer.from(x, 'base64url'),
      y,
      kid: key.kid,
      'the digest of the key': createHash('sha256').update(der).digest(),
    };
    for (const [name, form] of Object.entries(forms)) {
      for (const [alg, hash] of Object.entries(hashes)) {
        await opensNothing(t, service, signed({ ...header, alg }, claims, hmac(hash, form)), `${alg} with ${name}`);
      }
      await opensNothing(t, service, signed(header, claims, hmac('sha256', form)), `an HMAC that calls itself ES256, with ${name}`);
    }
    await opensAll(t, service, await signWith(key, claims), person.username);
  });
});
