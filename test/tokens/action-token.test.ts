import fastifyJwt from '@fastify/jwt';
import { fastify } from 'fastify';
import { decodeJwt, decodeProtectedHeader, SignJWT } from 'jose';
import t, { type Test } from 'tap';
import { type ActionTokens, actionTokenJwtOptions, createActionTokens, purposeKeys } from '../../src/tokens/action-token.ts';
import { deriveKey } from '../../src/tokens/keys.ts';
import { ManualClock } from '../support/clock.ts';
import { compact } from '../support/forger.ts';

const subject = '01946d5e-7b1c-7a3e-8f2d-0123456789ab';
const secret = 'the secret of these tests, long enough';
const issuer = 'https://accounts.example.com';

async function createTokens(
  t: Test,
  { secrets = [secret], clock = new ManualClock(), voidUntil = (): Date | null => null } = {},
): Promise<ActionTokens> {
  const app = fastify();
  t.teardown(() => app.close());
  const options = {
    purpose: 'confirmation',
    keys: purposeKeys(secrets, 'confirmation'),
    issuer,
    ttlSeconds: 3600,
    clock,
    voidUntil,
  } as const;
  await app.register(fastifyJwt, actionTokenJwtOptions(options));
  await app.ready();
  return createActionTokens(app.jwt.confirmation, options);
}

/** What the service itself would sign, but for what is overridden; undefined removes it. */
async function forge(claims: Record<string, unknown> = {}, header: Record<string, unknown> = {}, key?: string): Promise<string> {
  const iat = Math.floor(Date.now() / 1000);
  const all = { sub: subject, aud: 'confirmation', iss: issuer, state: 'c3RhdGU', iat, exp: iat + 3600, ...claims };
  const given = Object.fromEntries(Object.entries(all).filter(([, value]) => value !== undefined));
  const [genuine] = purposeKeys([secret], 'confirmation');
  return new SignJWT(given)
    .setProtectedHeader({ alg: 'HS256', typ: 'confirmation+jwt', ...header })
    .sign(new TextEncoder().encode(key ?? genuine));
}

t.test('a token is read back, and is over the state that it was signed over and no other', async (t) => {
  const tokens = await createTokens(t);
  const token = tokens.mint(subject, 'ada@example.com');
  const claims = tokens.read(token);
  t.match(claims, { sub: subject, aud: 'confirmation', iss: issuer });
  t.equal(claims.exp - claims.iat, 3600);
  t.ok(tokens.isSignedOver(claims, 'ada@example.com'));
  t.notOk(tokens.isSignedOver(claims, 'Ada@example.com'));
  t.notOk(tokens.isSignedOver(claims, ''));
  t.notOk(tokens.isSignedOver({ ...claims, state: '' }, 'ada@example.com'));
});

t.test('a token says neither the state nor anything else that a finder could use', async (t) => {
  const tokens = await createTokens(t);
  const token = tokens.mint(subject, 'ada@example.com');
  t.strictSame(decodeProtectedHeader(token), { alg: 'HS256', typ: 'confirmation+jwt' });
  t.same(Object.keys(decodeJwt(token)).sort(), ['aud', 'exp', 'iat', 'iss', 'state', 'sub']);
  t.notOk(Buffer.from(token.split('.')[1] ?? '', 'base64url').includes('ada'));
});

t.test('C05: a token is good to the last second of its time, and expired from then on', async (t) => {
  const clock = new ManualClock();
  const tokens = await createTokens(t, { clock });
  const token = tokens.mint(subject, 'state');
  const endMs = Number(decodeJwt(token).exp) * 1000;
  const readAt = (ms: number) => {
    const frozen = { now: () => new Date(ms), offsetMs: 0 };
    return createTokens(t, { clock: frozen as ManualClock }).then(({ read }) => read(token));
  };
  t.match(await readAt(endMs - 1000), { sub: subject });
  t.match(await readAt(endMs - 1), { sub: subject });
  await t.rejects(readAt(endMs), { code: 'expired_token', status: 410 });
  await t.rejects(readAt(endMs + 1000), { code: 'expired_token', status: 410 });
});

t.test('a token from before the last revocation is over, and good for asking for another one', async (t) => {
  let revokedAt: Date | null = null;
  const clock = new ManualClock();
  const tokens = await createTokens(t, { clock, voidUntil: () => revokedAt });
  const token = tokens.mint(subject, 'state');
  const iatMs = Number(decodeJwt(token).iat) * 1000;
  revokedAt = new Date(iatMs - 1);
  t.match(tokens.read(token), { sub: subject });
  for (const laterMs of [0, 999, 60_000]) {
    revokedAt = new Date(iatMs + laterMs);
    t.throws(() => tokens.read(token), { code: 'expired_token', status: 410 });
    const since = tokens.mint(subject, 'state');
    t.match(tokens.read(since), { sub: subject }, 'but not one that is signed when it is known');
  }
  t.match(tokens.peek(token), { sub: subject });
  clock.advance({ minutes: 2 });
  t.match(tokens.read(tokens.mint(subject, 'state')), { sub: subject });
});

t.test('a token of an older secret is read, and over its state, until that secret is gone', async (t) => {
  const old = await createTokens(t, { secrets: ['an older secret that still verifies'] });
  const both = await createTokens(t, { secrets: [secret, 'an older secret that still verifies'] });
  const token = old.mint(subject, 'state');
  t.ok(both.isSignedOver(both.read(token), 'state'));
  const only = await createTokens(t);
  t.throws(() => only.read(token), { code: 'invalid_token' });
});

t.test('a token that jose signs with the genuine key, type and audience is read', async (t) => {
  const tokens = await createTokens(t);
  t.match(tokens.read(await forge()), { sub: subject });
});

t.test('C07, J01, J04: a token for another purpose, of another type, algorithm or key is invalid', async (t) => {
  const tokens = await createTokens(t);
  const unsigned = (alg: string) => compact({ alg, typ: 'confirmation+jwt' }, decodeJwt(tokens.mint(subject, 'state')));
  const forged: Record<string, string> = {
    'the key of another purpose': await forge({}, {}, deriveKey(secret, 'action token: reset').toString('base64url')),
    'the bare secret': await forge({}, {}, secret),
    'the type of an access token': await forge({}, { typ: 'at+jwt' }),
    'the type of a reset token': await forge({}, { typ: 'reset+jwt' }),
    'a plain type': await forge({}, { typ: 'JWT' }),
    'no type': await forge({}, { typ: undefined }),
    'the audience of another purpose': await forge({ aud: 'reset' }),
    'another issuer': await forge({ iss: 'https://elsewhere.example' }),
    'another algorithm': await forge({}, { alg: 'HS512' }),
    'no algorithm': unsigned('none'),
    'No algorithm': unsigned('nOnE'),
    'no signature': `${tokens.mint(subject, 'state').split('.').slice(0, 2).join('.')}.`,
    'two parts': tokens.mint(subject, 'state').split('.').slice(0, 2).join('.'),
    nothing: '',
    'a word': 'token',
  };
  for (const [what, token] of Object.entries(forged)) t.throws(() => tokens.read(token), { code: 'invalid_token', status: 400 }, what);
});

t.test('a token whose claims are not of the required form is invalid, whoever signed it', async (t) => {
  const tokens = await createTokens(t);
  const wrong: Record<string, unknown>[] = [
    { sub: undefined },
    { sub: 'ada' },
    { sub: 7 },
    { state: undefined },
    { state: 7 },
    { iat: undefined },
    { iat: 'now' },
    { exp: undefined },
    { exp: '9999999999' },
    { exp: -1 },
    { exp: 1.5 },
    { aud: ['confirmation', 'reset'] },
    { aud: undefined },
    { iss: undefined },
    { role: 'admin' },
  ];
  for (const claims of wrong) {
    const token = await forge(claims);
    t.throws(() => tokens.read(token), { code: 'invalid_token' }, String(Object.entries(claims)));
  }
});

t.test('without a secret there are no keys of a purpose', async (t) => {
  t.throws(() => purposeKeys([], 'confirmation'), TypeError);
});
