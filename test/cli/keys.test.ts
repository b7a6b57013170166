import t from 'tap';
import { run } from '../support/cli.ts';
import { createDatabase } from '../support/database.ts';
import { register } from '../support/person.ts';
import { refused } from '../support/refusal.ts';
import { startInstance } from '../support/service.ts';

interface Tokens {
  readonly accessToken: string;
  readonly refreshToken: string;
}

t.test('words that a command does not understand are refused with its usage', async (t) => {
  const misused = {
    'keys list more': /expected 0 words, got 1\nUsage: latchkey keys list/,
    'keys rotate everything': /expected 0 words, got 1\nUsage: latchkey keys rotate \[--revoke-all\]/,
    'keys rotate --bogus': /--bogus/,
    'keys revoke': /expected 1 words, got 0\nUsage: latchkey keys revoke KID/,
    'keys revoke a b': /expected 1 words, got 2/,
  };
  for (const [argv, complaints] of Object.entries(misused)) t.match(await run(argv), { status: 2, said: '', complaints }, argv);
  for (const argv of ['keys', 'keys bogus']) t.match(await run(argv), { status: 2, said: '', complaints: /^Usage:/ }, argv);
});

t.test('keys at the command line', async (t) => {
  const env = { ARGON2_MEMORY_KIB: '8', ARGON2_PASSES: '1', ...(await createDatabase(t)) };

  /** The keys as they are listed: all of them, and those that sign. */
  async function keys() {
    const { status, said, complaints } = await run('keys list', env);
    if (status !== 0 || complaints !== '') throw new Error(`keys list failed with ${status}: ${complaints}`);
    const lines = said.split('\n').map((line) => line.split('  '));
    return { kids: lines.map(([kid = '']) => kid), signing: lines.filter(([, signs]) => signs === 'signs').map(([kid]) => kid) };
  }
  /** Whether tokens from before still work, and those that a refresh answers then. */
  async function visit({ accessToken: token, refreshToken }: Tokens) {
    const service = await startInstance(t, env);
    const before = await service.get('/auth/me', { token });
    const { body } = await service.post('/auth/refresh', { refreshToken });
    const after = await service.get('/auth/me', { token: body.accessToken });
    const published: string[] = (await service.get('/.well-known/jwks.json')).body.keys.map(({ kid }: { kid: string }) => kid);
    await service.app.close();
    return { before, after, tokens: body, published };
  }

  const first = await startInstance(t, env);
  const { email, password } = await register(first);
  let tokens: Tokens = (await first.post('/auth/login', { email, password })).body;
  await first.app.close();
  const original = await keys();

  t.test('there is one that signs', async (t) => {
    t.equal(original.kids.length, 1);
    t.strictSame(original.signing, original.kids);
    t.equal(kidOf(tokens.accessToken), original.kids[0]);
  });

  t.test('a rotation publishes another one, which does not sign yet, and no token dies', async (t) => {
    t.match(await run('keys rotate', env), { status: 0, said: /signs in 10 minutes/, complaints: '' });
    const { kids, signing } = await keys();
    t.equal(kids.length, 2);
    t.strictSame(signing, original.kids);
    const { before, after, published, tokens: next } = await visit(tokens);
    t.equal(before.status, 200);
    t.equal(after.status, 200);
    t.strictSame(published, kids);
    t.equal(kidOf(next.accessToken), original.kids[0]);
    tokens = next;
  });

  t.test('a key that is revoked takes its tokens with it; another one signs at once, and the sessions live', async (t) => {
    const [kid = '', next = ''] = (await keys()).kids;
    for (const unknown of ['nonsense', '-zfZ6c2xCZIGhk8Y', '--force']) {
      t.match(await run(`keys revoke ${unknown}`, env), { status: 2, said: '', complaints: /there is no key with this kid/ });
    }
    t.match(await run(`keys revoke ${kid}`, env), {
      status: 0,
      said: 'The key is revoked; links in mails of before are over.',
      complaints: '',
    });
    const { kids, signing } = await keys();
    t.notOk(kids.includes(kid));
    t.ok(kids.includes(next), 'the one that was to follow stays');
    t.equal(signing.length, 1);
    const visited = await visit(tokens);
    refused(t, visited.before, 401, 'unauthenticated');
    t.equal(visited.after.status, 200);
    t.equal(kidOf(visited.tokens.accessToken), signing[0]);
    t.match(await run(`keys revoke ${kid}`, env), { status: 2, complaints: /there is no key with this kid/ });
    t.match(await run(`keys revoke ${next}`, env), { status: 0 });
    t.strictSame((await keys()).kids, signing, 'where another one signs, none is made');
    tokens = visited.tokens;
  });

  t.test('all of them are revoked at once, and one that is new signs', async (t) => {
    const { kids: old } = await keys();
    t.match(await run('keys rotate --revoke-all', env), { status: 0, said: /All keys are revoked/, complaints: '' });
    const { kids, signing } = await keys();
    t.equal(kids.length, 1);
    t.strictSame(signing, kids);
    t.notOk(old.includes(kids[0] ?? ''));
    const { before, after } = await visit(tokens);
    refused(t, before, 401, 'unauthenticated');
    t.equal(after.status, 200);
  });

  t.test('those that another secret has sealed are told of in words, with what mends it', async (t) => {
    const former = 'the secret that was there first and for long';
    const latter = 'another secret which has sealed nothing so far';
    const sealed = { ...(await createDatabase(t)), AUTH_SECRET: former };
    t.match(await run('keys list', sealed), { status: 0 });
    const { status, said, complaints } = await run('keys list', { ...sealed, AUTH_SECRET: latter });
    t.equal(status, 1);
    t.equal(said, '');
    t.match(
      complaints,
      /^The signing keys in the database were sealed with another AUTH_SECRET\. Append the old one: AUTH_SECRET=new,old$/,
    );
    t.match(await run('keys list', { ...sealed, AUTH_SECRET: `${latter},${former}` }), { status: 0, complaints: '' });
  });
});

function kidOf(token: string): string {
  return JSON.parse(Buffer.from(token.split('.')[0] ?? '', 'base64url').toString()).kid;
}
