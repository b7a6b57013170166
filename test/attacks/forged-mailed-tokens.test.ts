import { createPrivateKey, createPublicKey } from 'node:crypto';
import { decodeJwt, decodeProtectedHeader } from 'jose';
import t from 'tap';
import type { Purpose } from '../../src/config.ts';
import { purposeKeys } from '../../src/tokens/action-token.ts';
import { aliasesOf, compact, ecdsa, hmac, signed, startServiceWithKey, testSecret } from '../support/forger.ts';
import { listening } from '../support/listening.ts';
import { linksOf } from '../support/mail-server.ts';
import { confirmationToken, confirmedPerson, emailChangeToken, register, resetToken } from '../support/person.ts';

t.test('forged tokens of mailed links', async (t) => {
  const service = await listening(await startServiceWithKey(t, { RATE_LIMIT: 'off' }));
  const { key } = service;
  const [person, newcomer] = [await confirmedPerson(service), await register(service)];
  const mailed: Record<Purpose, string> = {
    confirmation: await confirmationToken(service, newcomer),
    'password-reset': await resetToken(service, person),
    'email-change': await emailChangeToken(service, person, `next.${person.email}`),
    disown:
      linksOf(await service.mailServer.mailTo(newcomer.email))
        .find((link) => link.includes('/disown/'))
        ?.split('/')
        .at(-1) ?? '',
  };
  const paths: Record<Purpose, string> = {
    confirmation: '/auth/confirm/',
    'password-reset': '/auth/password/reset/',
    'email-change': '/auth/email/confirm/',
    disown: '/auth/disown/',
  };
  const purposes = Object.keys(mailed) as Purpose[];
  /** What a token is answered by somebody who has only the link: as a genuine one, or as one that is none. */
  const probe = async (purpose: Purpose, token: string) => {
    const { status, body } = await service.get(paths[purpose] + token);
    return `${status} ${body?.code ?? ''}`.trim();
  };
  const genuine: Record<Purpose, string> = {
    confirmation: '401 unauthenticated',
    'password-reset': '200',
    'email-change': '401 unauthenticated',
    disown: '200',
  };
  const keyOf = (purpose: Purpose) => purposeKeys([testSecret], purpose)[0];
  const forge = (purpose: Purpose, header: object, claims: object = {}, signer = hmac('sha256', keyOf(purpose))) =>
    signed({ ...decodeProtectedHeader(mailed[purpose]), ...header }, { ...decodeJwt(mailed[purpose]), ...claims }, signer);

  for (const purpose of purposes) {
    const works = async (token: string, what: string) =>
      t.equal(await probe(purpose, token), genuine[purpose], `${purpose} works: ${what}`);
    const fails = async (token: string, what: string) => t.equal(await probe(purpose, token), '400 invalid_token', `${purpose}: ${what}`);
    const [head = '', payload = '', signature = ''] = mailed[purpose].split('.');

    await t.test(`J01 no link works without a signature, or with another spelling of one: ${purpose}`, async () => {
      t.equal(aliasesOf(signature).length, 3);
      const unsigned = ['none', 'None', 'NONE', 'nOnE', '', null, undefined, ['none'], 'HS256'].flatMap((alg) => {
        const token = compact(
          { ...decodeProtectedHeader(mailed[purpose]), alg },
          { ...decodeJwt(mailed[purpose]), sub: person.id, more: 1 },
        );
        return [token, token.slice(0, -1), `${token}${signature}`, `${token}AA`];
      });
      const cut = [
        `${head}.${payload}`,
        `${head}.${payload}.`,
        `${head}..${signature}`,
        `${mailed[purpose]}.`,
        `${head}%2E%2E${signature}`,
      ];
      const aliases = aliasesOf(signature).map((alias) => `${head}.${payload}.${alias}`);
      const spaced = [`${mailed[purpose]}=`, `${mailed[purpose]}%20`, `%20${mailed[purpose]}`, `${mailed[purpose]}%0A`];
      await works(mailed[purpose], 'the mailed one');
      for (const token of [...unsigned, ...cut, ...aliases, ...spaced]) await fails(token, `${token.slice(0, 40)}…${token.slice(-5)}`);
      await works(mailed[purpose], 'still');
    });

    await t.test(`J02 J03 no key but its own signs it: ${purpose}`, async () => {
      const der = createPublicKey(key.publicKey).export({ type: 'spki', format: 'der' });
      const others = purposes.filter((each) => each !== purpose).map(keyOf);
      const own = Buffer.from(keyOf(purpose), 'base64url');
      await works(forge(purpose, {}), 'what the tests sign with its own key');
      for (const secret of ['', 'secret', testSecret, key.publicKey, der, key.privateKey, purpose, own, ...others]) {
        await fails(forge(purpose, {}, {}, hmac('sha256', secret)), String(secret).slice(0, 20));
        await fails(forge(purpose, { kid: '/dev/null' }, {}, hmac('sha256', secret)), 'with a kid');
      }
      await fails(
        forge(purpose, { jwk: { kty: 'oct', k: 'c2VjcmV0' }, kid: 'x' }, {}, hmac('sha256', 'secret')),
        'a key that it brings along',
      );
    });

    await t.test(`J04 J08 in one algorithm and of one type alone: ${purpose}`, async () => {
      for (const [alg, hash] of [
        ['HS384', 'sha384'],
        ['HS512', 'sha512'],
        ['hs256', 'sha256'],
        ['HS256', 'sha512'],
      ] as const) {
        await fails(forge(purpose, { alg }, {}, hmac(hash, keyOf(purpose))), `${alg} over ${hash}`);
      }
      await fails(
        forge(purpose, { alg: 'ES256', kid: key.kid }, {}, ecdsa('sha256', createPrivateKey(key.privateKey))),
        'ES256 of the genuine key',
      );
      const types = purposes.filter((each) => each !== purpose).map((each) => `${each}+jwt`);
      for (const typ of [...types, 'at+jwt', 'JWT', '', undefined, null, [`${purpose}+jwt`]])
        await fails(forge(purpose, { typ }), `typ ${typ}`);
      await fails(forge(purpose, { crit: ['x'], x: 1 }), 'a demand that is not understood');
    });

    await t.test(`J09 J11 with claims that make sense, about somebody who is there: ${purpose}`, async () => {
      const { exp = 0 } = decodeJwt(mailed[purpose]);
      const times = [
        { exp: undefined },
        { exp: `${exp}` },
        { exp: exp + 0.5 },
        { exp: -1 },
        { exp: null },
        { iat: undefined },
        { iat: 'now' },
      ];
      const audiences = [{ iss: 'https://evil.example' }, { aud: 'confirmation,disown' }, { aud: purposes }, { aud: undefined }];
      const states = [{ more: 1 }, { state: undefined }, { state: 1 }];
      const ids = [undefined, null, '', 0, [person.id], "' or '1'='1", `${person.id}\u0000`, '01946d5e-7b1c-7a3e-8f2d-0123456789ab'];
      for (const claims of [...times, ...audiences, ...states, ...ids.map((sub) => ({ sub }))]) {
        await fails(forge(purpose, {}, claims), JSON.stringify(claims));
      }
      // Signed over something that is not, or no longer, so.
      const other = [person, newcomer].find(({ id }) => id !== decodeJwt(mailed[purpose]).sub);
      for (const claims of [{ sub: other?.id }, { state: '' }, { state: Buffer.alloc(32).toString('base64url') }]) {
        const answer = await probe(purpose, forge(purpose, {}, claims));
        t.match(answer, /^4(?:00 invalid|10 used)_token$/, `${purpose}: ${JSON.stringify(claims)}`);
      }
      await works(mailed[purpose], 'still');
    });
  }
});
