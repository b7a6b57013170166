import fc from 'fast-check';
import t from 'tap';
import { createRefreshTokens } from '../../src/tokens/refresh-token.ts';

const sessionId = '01946d5e-7b1c-7a3e-8f2d-0123456789ab';
const tokens = createRefreshTokens(['a first secret', 'an older secret']);

t.test('a refresh token says which session it is of, and how often that was refreshed', async (t) => {
  fc.assert(
    fc.property(fc.uuid(), fc.integer({ min: 0, max: 0xffffffff }), (id, counter) => {
      const content = tokens.read(tokens.mint({ sessionId: id, counter }));
      return content?.sessionId === id && content.counter === counter;
    }),
  );
  t.pass('for any session and any count');
});

t.test('the same refresh token is derived again, so that twins get the same successor', async (t) => {
  const content = { sessionId, counter: 3 };
  t.equal(tokens.mint(content), createRefreshTokens(['a first secret']).mint(content));
  t.not(tokens.mint(content), tokens.mint({ ...content, counter: 4 }));
});

t.test('a refresh token of an older secret is still read, one of a secret that is gone is not', async (t) => {
  const old = createRefreshTokens(['an older secret']).mint({ sessionId, counter: 1 });
  t.same(tokens.read(old), { sessionId, counter: 1 });
  t.equal(createRefreshTokens(['a first secret']).read(old), undefined);
});

t.test('no changed bit of a refresh token goes unnoticed', async (t) => {
  const bytes = Buffer.from(tokens.mint({ sessionId, counter: 1 }), 'base64url');
  const forged = [...bytes.keys()].map((position) => {
    const copy = Buffer.from(bytes);
    copy[position] = (copy[position] ?? 0) ^ 0x10;
    return tokens.read(copy.toString('base64url'));
  });
  t.same(new Set(forged), new Set([undefined]));
  t.ok(tokens.read(bytes.toString('base64url')));
});

t.test('whatever is not a refresh token is read as none', async (t) => {
  const genuine = tokens.mint({ sessionId, counter: 1 });
  const spoilt = ['', ' ', genuine.slice(0, -1), `${genuine}A`, ` ${genuine.slice(1)}`, `!${genuine.slice(1)}`, 'é'.repeat(genuine.length)];
  for (const text of spoilt) t.equal(tokens.read(text), undefined);
  fc.assert(fc.property(fc.string({ minLength: genuine.length, maxLength: genuine.length }), (text) => tokens.read(text) === undefined));
});

t.test('without a secret there are no refresh tokens', async (t) => {
  t.throws(() => createRefreshTokens([]).mint({ sessionId, counter: 0 }), TypeError);
  t.equal(createRefreshTokens([]).read(tokens.mint({ sessionId, counter: 0 })), undefined);
});
