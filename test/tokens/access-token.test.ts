import { generateKeyPairSync } from 'node:crypto';
import { decodeProtectedHeader, importSPKI, jwtVerify } from 'jose';
import t from 'tap';
import type { Clock } from '../../src/clock.ts';
import { type AccessTokens, createAccessTokens } from '../../src/tokens/access-token.ts';
import type { KeyRing } from '../../src/tokens/key-ring.ts';
import type { SigningKey } from '../../src/tokens/signing-keys.ts';
import { accessClaims, compact, signWith } from '../support/forger.ts';

const issuer = 'http://localhost:3000';
const now = new Date('2026-11-20T18:45:00.500Z');
const subject = {
  sub: '01946d5e-7b1c-7a3e-8f2d-0123456789ab',
  sid: '01946d5e-7b1c-7a3e-8f2d-ba9876543210',
  username: 'ada',
  email: 'ada@example.com',
  role: 'user',
  confirmed: false,
};

const previous = makeKey('previous');
const current = makeKey('current');
const keys: KeyRing = {
  current: () => current,
  publicKey: (kid) => [previous, current].find((key) => key.kid === kid)?.publicKey,
  published: () => [],
  refresh: async () => {},
  onChange: () => {},
  lastRevocation: () => null,
};

function makeKey(kid: string): SigningKey {
  const pair = generateKeyPairSync('ec', {
    namedCurve: 'P-256',
    publicKeyEncoding: { type: 'spki', format: 'pem' },
    privateKeyEncoding: { type: 'pkcs8', format: 'pem' },
  });
  return { kid, ...pair, createdAt: now, activatesAt: now };
}

const at = (time: Date): Clock => ({ now: () => time, offsetMs: 0 });
const later = (seconds: number): Clock => at(new Date(now.getTime() + seconds * 1000));

const createTokens = ({ clock = at(now), of = keys, ttlSeconds = 300 } = {}): AccessTokens =>
  createAccessTokens({ keys: of, issuer, ttlSeconds, clock });

t.test('an access token is what RFC 9068 says, and any library verifies it with the public key', async (t) => {
  const tokens = createTokens();
  const token = tokens.mint(subject, 'client');
  const { payload, protectedHeader } = await jwtVerify(token, await importSPKI(current.publicKey, 'ES256'), {
    algorithms: ['ES256'],
    typ: 'at+jwt',
    issuer,
    audience: issuer,
    currentDate: now,
  });
  t.strictSame(protectedHeader, { alg: 'ES256', typ: 'at+jwt', kid: 'current' });
  const iat = Math.floor(now.getTime() / 1000);
  const { jti, ...claims } = payload;
  t.strictSame(claims, { ...subject, iss: issuer, aud: issuer, iat, exp: iat + tokens.ttlSeconds });
  t.type(jti, 'string');
});

t.test('what was minted is verified, and no two tokens are the same', async (t) => {
  const tokens = createTokens();
  const [first, second] = [tokens.mint(subject, 'client'), tokens.mint(subject, 'client')];
  t.match(tokens.verify(first), subject);
  t.not(tokens.verify(first)?.jti, tokens.verify(second)?.jti);
});

t.test('a token of the previous key is verified, one of a key that is not ours is not', async (t) => {
  const tokens = createTokens();
  t.match(tokens.verify(await signWith(previous, accessClaims({}, now))), { username: 'ada' });
  const stranger = makeKey('stranger');
  t.equal(tokens.verify(await signWith(stranger, accessClaims({}, now))), undefined);
  t.equal(tokens.verify(await signWith(stranger, accessClaims({}, now), { kid: 'current' })), undefined, 'nor under the name of ours');
  t.equal(tokens.verify(await signWith(current, accessClaims({}, now), { kid: 'previous' })), undefined, 'nor under another name of ours');
});

t.test('J03: a key is chosen by a known kid alone', async (t) => {
  const tokens = createTokens();
  const claims = accessClaims({}, now);
  t.ok(tokens.verify(await signWith(current, claims)));
  for (const kid of [undefined, '', 'unknown', '__proto__', 7, null, ['current'], { current: 1 }]) {
    t.equal(tokens.verify(compact({ alg: 'ES256', typ: 'at+jwt', kid }, claims, 'AAAA')), undefined);
  }
  for (const header of ['null', '7', '"current"', 'no JSON', '']) t.equal(tokens.verify(compact(header, claims)), undefined);
});

t.test('J15: a token ends with its last second, without leeway', async (t) => {
  const token = createTokens().mint(subject, 'client');
  const verifyAfter = async (seconds: number) => createTokens({ clock: later(seconds) }).verify(token);
  t.ok(await verifyAfter(299));
  for (const seconds of [300, 301, 361]) t.equal(await verifyAfter(seconds), undefined, `after ${seconds} s`);
});

t.test('a token lives no longer than is configured now, and no longer than it says', async (t) => {
  const token = createTokens({ ttlSeconds: 86_400 }).mint(subject, 'client');
  const verifyAfter = (seconds: number, ttlSeconds: number) => createTokens({ clock: later(seconds), ttlSeconds }).verify(token);
  t.ok(verifyAfter(299, 300));
  t.equal(verifyAfter(300, 300), undefined, 'the time that there is now');
  t.ok(verifyAfter(86_399, 86_400));
  t.equal(
    createTokens({ clock: later(300), ttlSeconds: 86_400 }).verify(createTokens().mint(subject, 'client')),
    undefined,
    'its own time',
  );
});

t.test('J15: a clock that is behind by up to 5 s is forgiven, by more is not', async (t) => {
  const token = createTokens().mint(subject, 'client');
  const verifyAfter = async (seconds: number) => createTokens({ clock: later(seconds) }).verify(token);
  t.ok(await verifyAfter(-5));
  for (const seconds of [-6, -30, -86_400]) t.equal(await verifyAfter(seconds), undefined, `after ${seconds} s`);
});

t.test('J09: a genuine signature under times that make no sense is worth nothing', async (t) => {
  const tokens = createTokens();
  const seconds = Math.floor(now.getTime() / 1000);
  t.ok(tokens.verify(await signWith(current, accessClaims({}, now))));
  const wrong: Record<string, unknown>[] = [
    { exp: undefined },
    { exp: String(seconds + 300) },
    { exp: seconds * 1000 },
    { exp: seconds + 300.5 },
    { exp: -1 },
    { exp: 0 },
    { exp: null },
    { exp: [seconds + 300] },
    { iat: undefined },
    { iat: seconds + 86_400, exp: seconds + 86_700 },
    { iat: -1 },
    { iat: seconds * 1000, exp: seconds * 1000 + 300 },
    { nbf: seconds + 60 },
    { nbf: seconds - 60 },
  ];
  for (const claims of wrong) {
    const token = await signWith(current, accessClaims(claims, now));
    t.equal(tokens.verify(token), undefined, JSON.stringify(claims));
  }
});

t.test('a genuine signature under claims that are missing, of another form or unknown is worth nothing', async (t) => {
  const tokens = createTokens();
  const missing = Object.keys(accessClaims()).map((name) => ({ [name]: undefined }));
  const wrong: Record<string, unknown>[] = [
    ...missing,
    { iss: 'http://localhost:3001' },
    { aud: 'https://elsewhere.example' },
    { aud: [issuer, 'https://elsewhere.example'] },
    { sub: 7 },
    { sub: '' },
    { sub: 'ada' },
    { sid: "' or 1=1--" },
    { jti: '' },
    { confirmed: 'true' },
    { confirmed: 1 },
    { role: ['admin'] },
    { admin: true },
  ];
  for (const claims of wrong) {
    const token = await signWith(current, accessClaims(claims, now));
    t.equal(tokens.verify(token), undefined, String(Object.entries(claims)));
  }
});

t.test('whatever is not a token is verified as none', async (t) => {
  const tokens = createTokens();
  const genuine = tokens.mint(subject, 'client');
  const [header, payload, signature] = genuine.split('.');
  const otherPayload = tokens.mint({ ...subject, role: 'admin' }, 'client').split('.')[1];
  const spoilt = [
    '',
    '.',
    '..',
    'token',
    `${header}.${payload}`,
    `${header}.${payload}.`,
    `${header}.${otherPayload}.${signature}`,
    `${genuine}.x`,
  ];
  t.ok(tokens.verify(genuine));
  t.same(decodeProtectedHeader(genuine).kid, 'current');
  for (const text of spoilt) t.equal(tokens.verify(text), undefined, text);
});

t.test('a token does not outlive its session', async (t) => {
  const tokens = createTokens();
  const ends = new Date(now.getTime() + 60_000);
  t.equal(tokens.verify(tokens.mint(subject, 'client', ends))?.exp, Math.floor(ends.getTime() / 1000));
  const later = new Date(now.getTime() + 3600_000);
  t.equal(tokens.verify(tokens.mint(subject, 'client', later))?.exp, Math.floor(now.getTime() / 1000) + tokens.ttlSeconds);
});
