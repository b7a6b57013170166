import { createHmac, randomBytes } from 'node:crypto';
import fc from 'fast-check';
import t from 'tap';
import { deriveKey, seal, unseal } from '../../src/tokens/keys.ts';

const key = randomBytes(32);
const otherKey = randomBytes(32);

/** RFC 5869, written out for one block of output. */
function hkdf(secret: string, salt: string, info: string): Buffer {
  const extracted = createHmac('sha256', salt).update(secret).digest();
  return createHmac('sha256', extracted)
    .update(Buffer.concat([Buffer.from(info), Buffer.from([1])]))
    .digest();
}

t.test('a derived key is the HKDF of the secret for its purpose', async (t) => {
  t.same(deriveKey('a secret', 'a purpose'), hkdf('a secret', 'latchkey', 'a purpose'));
  t.equal(deriveKey('a secret', 'a purpose').length, 32);
});

t.test('keys of different purposes or secrets have nothing in common', async (t) => {
  const keys = [deriveKey('a secret', 'one'), deriveKey('a secret', 'two'), deriveKey('a secret2', 'one'), deriveKey('a', 'secretone')];
  t.equal(new Set(keys.map((each) => each.toString('hex'))).size, keys.length);
});

t.test('what was sealed is unsealed with any of the keys, in its context', async (t) => {
  await fc.assert(
    fc.asyncProperty(fc.string({ unit: 'grapheme' }), fc.string(), async (plaintext, context) => {
      const sealed = seal([key], context, plaintext);
      return unseal([otherKey, key], context, sealed) === plaintext.toWellFormed();
    }),
  );
  t.equal(unseal([key], 'context', seal([key, otherKey], 'context', 'text')), 'text', 'the first key seals');
  t.equal(unseal([otherKey], 'context', seal([key, otherKey], 'context', 'text')), undefined, 'and only the first');
});

t.test('nothing is unsealed with another key, in another context, or by none', async (t) => {
  const sealed = seal([key], 'context', 'text');
  t.equal(unseal([key], 'context', sealed), 'text');
  t.equal(unseal([otherKey], 'context', sealed), undefined);
  t.equal(unseal([key], 'contexT', sealed), undefined);
  t.equal(unseal([], 'context', sealed), undefined);
});

t.test('no change of a single byte, and no cut, goes unnoticed', async (t) => {
  const sealed = seal([key], 'context', 'text');
  const changed = [...sealed.keys()].map((position) => {
    const copy = Buffer.from(sealed);
    copy[position] = (copy[position] ?? 0) ^ 1;
    return unseal([key], 'context', copy);
  });
  t.same(new Set(changed), new Set([undefined]));
  const cut = [...sealed.keys()].map((length) => unseal([key], 'context', sealed.subarray(0, length)));
  t.same(new Set(cut), new Set([undefined]));
});

t.test('the same text is sealed differently each time, and is not to be seen in it', async (t) => {
  const first = seal([key], 'context', 'a plain text');
  t.notSame(first, seal([key], 'context', 'a plain text'));
  t.notOk(first.includes('plain'));
});

t.test('without a key nothing is sealed', async (t) => {
  t.throws(() => seal([], 'context', 'text'), TypeError);
});
