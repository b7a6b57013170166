import { generateKeyPairSync } from 'node:crypto';
import { decodeJwt, exportJWK } from 'jose';
import t, { type Test } from 'tap';
import { renewSigningKeys } from '../../src/tokens/signing-keys.ts';
import { eventually } from '../support/eventually.ts';
import { compact, ecdsa, hmac, signed, signWith } from '../support/forger.ts';
import { createForeignClient } from '../support/http.ts';
import { confirmationPath, confirmationToken, confirmedPerson, logIn, openSession, register } from '../support/person.ts';
import { freePort, startProcess } from '../support/process.ts';
import { noPyJwt, python } from '../support/python.ts';
import { type Service, startService } from '../support/service.ts';

const examples = [
  { name: 'in Node.js, with jose', command: [process.execPath, 'examples/verify/verify.mjs'], skip: false },
  { name: 'in Python, with PyJWT', command: [python, 'examples/verify/verify.py'], skip: noPyJwt },
] as const;

/** Starts an example, and answers what asks it, with a token or without. */
async function startExample(t: Test, { command }: (typeof examples)[number], issuer: string) {
  const { says } = startProcess(t, { command }, { ISSUER: issuer, PORT: '0' });
  const [, base = ''] = await says(/^listening on (http:\S+)$/m);
  const client = createForeignClient(base);
  return async (token?: string) => {
    const { status, body, headers } = await client.get('/', token === undefined ? {} : { token });
    return { status, body, challenge: headers['www-authenticate'] };
  };
}

const unauthenticated = { status: 401, body: { code: 'unauthenticated' }, challenge: 'Bearer' };
const unconfirmed = { status: 403, body: { code: 'unconfirmed' }, challenge: undefined };
const unavailable = { status: 503, body: { code: 'unavailable' }, challenge: undefined };
const welcome = ({ id, username }: { id: string; username: string }) => ({
  status: 200,
  body: { user: id, username },
  challenge: undefined,
});

/** What can be made of a genuine token without being one. */
async function forgeriesOf(service: Service, token: string) {
  const key = service.app.services.keyRing.current();
  const claims = decodeJwt(token);
  const [head = '', payload = '', signature = ''] = token.split('.');
  const header = { alg: 'ES256', typ: 'at+jwt', kid: key.kid };
  const now = Math.floor(Date.now() / 1000);
  const other = generateKeyPairSync('ec', { namedCurve: 'P-256' });
  const byOther = (more: object) => signed({ ...header, ...more }, claims, ecdsa('sha256', other.privateKey));
  const claiming = (overrides: object) => signWith(key, { ...claims, ...overrides });
  return {
    genuine: await claiming({}),
    worthless: {
      'one dot': '.',
      garbage: 'garbage',
      'garbage in three parts': 'gar.ba.ge',
      'a header of brackets': `${Buffer.from('['.repeat(3000)).toString('base64url')}.${payload}.${signature}`,
      'the signature of nothing': `${head}.${payload}.`,
      'a signature of something else': `${head}.${compact('', { ...claims, role: 'admin' }).split('.')[1]}.${signature}`,
      'alg none': compact({ ...header, alg: 'none' }, claims),
      'alg none, signed': compact({ ...header, alg: 'none' }, claims, signature),
      'HS256 with the public key': signed({ ...header, alg: 'HS256' }, claims, hmac('sha256', key.publicKey)),
      'another key of the same name': byOther({}),
      'another key, unnamed': byOther({ kid: undefined }),
      'another key, enclosed': byOther({ jwk: await exportJWK(other.publicKey) }),
      'an unknown key': byOther({ kid: 'unknown' }),
      'an end that is over': await claiming({ iat: now - 305, exp: now - 5 }),
      'no end': await claiming({ exp: undefined }),
      'no session': await claiming({ sid: undefined }),
      'another issuer': await claiming({ iss: 'http://localhost:3000' }),
      'another audience': await claiming({ aud: 'http://localhost:3000' }),
      'no audience': await claiming({ aud: undefined }),
      'type JWT': await signWith(key, claims, { typ: 'JWT' }),
      'no type': await signWith(key, claims, { typ: undefined }),
    },
  };
}

t.test('the examples of local verification', async (t) => {
  const port = await freePort();
  const issuer = `http://127.0.0.1:${port}`;
  const service = await startService(t, { PUBLIC_URL: issuer });
  await service.app.listen({ host: '127.0.0.1', port });
  const person = await confirmedPerson(service);
  const fetches = () => service.log.filter((line) => line.includes('/.well-known/jwks.json')).length;

  for (const example of examples) {
    await t.test(example.name, { skip: example.skip }, async (t) => {
      const ask = await startExample(t, example, issuer);
      const token = await logIn(service, person);

      await t.test('a genuine token of a confirmed user is let in, and nothing else', async (t) => {
        const { genuine, worthless } = await forgeriesOf(service, token);
        t.strictSame(await ask(token), welcome(person));
        t.strictSame(await ask(genuine), welcome(person), 'whatever the forger does well is none of the reasons below');
        t.strictSame(await ask(), unauthenticated, 'no token');
        for (const [what, forged] of Object.entries(worthless)) t.strictSame(await ask(forged), unauthenticated, what);
        t.strictSame(await ask(await confirmationToken(service, person)), unauthenticated, 'a mailed token');
        t.strictSame(await ask((await openSession(service, person)).refreshToken), unauthenticated, 'a refresh token');
      });

      await t.test('an unconfirmed user is kept out until the client refreshes', async (t) => {
        const newcomer = await register(service);
        const { accessToken, refreshToken } = await openSession(service, newcomer);
        t.strictSame(await ask(accessToken), unconfirmed);
        t.equal((await service.get(await confirmationPath(service, newcomer), { token: accessToken })).status, 200);
        t.strictSame(await ask(accessToken), unconfirmed, 'the token says what it said');
        const { body } = await service.post('/auth/refresh', { refreshToken });
        t.strictSame(await ask(body.accessToken), welcome(newcomer));
      });

      await t.test('a session that was ended is believed', async (t) => {
        const { accessToken } = await openSession(service, person);
        t.equal((await service.post('/auth/logout', undefined, { token: accessToken })).status, 204);
        t.equal((await service.get('/secret', { token: accessToken })).status, 401);
        t.strictSame(await ask(accessToken), welcome(person));
      });

      await t.test('a forger cannot make it fetch the keys all the time', async (t) => {
        const key = service.app.services.keyRing.current();
        const before = { fetches: fetches(), at: performance.now() };
        const forged = Array.from({ length: 30 }, (_, index) => signWith({ ...key, kid: `unknown ${index}` }, decodeJwt(token)));
        for (const answer of await Promise.all(forged.map(async (each) => ask(await each)))) t.strictSame(answer, unauthenticated);
        const seconds = (performance.now() - before.at) / 1000;
        t.ok(before.fetches > 0);
        t.ok(fetches() - before.fetches <= 1 + seconds, 'once a second');
      });

      await t.test('a key that is new is known within a second, and one that was revoked is forgotten then', async (t) => {
        const { clock, db, keyRing, secrets } = service.app.services;
        await renewSigningKeys(db, { secrets, clock, revoke: () => true, decide: () => 'at once' });
        await keyRing.refresh();
        const renewed = await logIn(service, person);
        await eventually('the new key is known', async () => (await ask(renewed)).status === 200);
        t.strictSame(await ask(renewed), welcome(person));
        t.strictSame(await ask(token), unauthenticated);
      });

      await t.test('nobody is let in while there are no keys', async (t) => {
        const askAlone = await startExample(t, example, `http://127.0.0.1:${await freePort()}`);
        t.strictSame(await askAlone(token), unavailable);
        t.strictSame(await askAlone(), unauthenticated);
      });
    });
  }
});
