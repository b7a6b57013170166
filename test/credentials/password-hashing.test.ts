import { hash as argon2 } from '@node-rs/argon2';
import t from 'tap';
import { createPasswordHasher } from '../../src/credentials/password-hashing.ts';

const cheap = { minLength: 8, argon2MemoryKib: 8, argon2Passes: 1, threads: 4 };
const hasher = await createPasswordHasher(cheap, 2);

t.test('a password belongs to its own hash, and no other does', async (t) => {
  const hash = await hasher.hash('correct horse battery staple');
  t.equal(await hasher.verify(hash, 'correct horse battery staple'), true);
  for (const other of ['correct horse battery stapl', 'Correct horse battery staple', 'correct horse battery staple ', '']) {
    t.equal(await hasher.verify(hash, other), false, other);
  }
});

t.test('a hash is argon2id with the configured parameters, salted anew each time', async (t) => {
  const [first, second] = [await hasher.hash('same'), await hasher.hash('same')];
  t.match(first, /^\$argon2id\$v=19\$m=8,t=1,p=1\$[\w+/]{22}\$[\w+/]{43}$/);
  t.not(first, second);
  const strong = await createPasswordHasher({ ...cheap, argon2MemoryKib: 64, argon2Passes: 3 }, 2);
  t.match(await strong.hash('same'), /m=64,t=3,p=1/);
});

t.test('R13: every character counts, to the last and beyond a NUL', async (t) => {
  const long = await hasher.hash(`${'a'.repeat(72)}X`);
  t.equal(await hasher.verify(long, `${'a'.repeat(72)}X`), true);
  t.equal(await hasher.verify(long, `${'a'.repeat(72)}Y`), false);
  const nul = await hasher.hash('abc\u0000defgh');
  t.equal(await hasher.verify(nul, 'abc\u0000defgh'), true);
  t.equal(await hasher.verify(nul, 'abc\u0000xyzgh'), false);
  t.equal(await hasher.verify(nul, 'abc'), false);
  const emoji = await hasher.hash('🦜'.repeat(128));
  t.equal(await hasher.verify(emoji, '🦜'.repeat(128)), true);
  t.equal(await hasher.verify(emoji, '🦜'.repeat(127)), false);
});

t.test('a letter may be entered as one character or as several', async (t) => {
  const composed = 'm\u00fcnchner kindl 1860';
  const decomposed = 'mu\u0308nchner kindl 1860';
  t.equal(await hasher.verify(await hasher.hash(composed), decomposed), true);
  t.equal(await hasher.verify(await hasher.hash(decomposed), composed), true);
  t.equal(await hasher.verify(await hasher.hash(composed), 'munchner kindl 1860'), false);
});

t.test('the longest password has one spelling, and what is longer than all of its spellings is taken as it stands', async (t) => {
  const longest = '\u1f82'.repeat(128);
  t.equal(longest.normalize('NFD').length, 4 * 128, 'no character takes more to be spelled out');
  t.equal(await hasher.verify(await hasher.hash(longest), longest.normalize('NFD')), true);
  const atBound = '\u00fc'.repeat(512);
  t.equal(await hasher.verify(await hasher.hash(atBound), atBound.normalize('NFD')), true, 'up to the bound');
  const beyond = `${atBound.normalize('NFD')}x`;
  const hash = await hasher.hash(beyond);
  t.equal(await hasher.verify(hash, beyond), true);
  t.equal(await hasher.verify(hash, beyond.normalize('NFC')), false, 'sorting its accents would take too long');
});

t.test('without a hash no password is right', async (t) => {
  for (const password of ['', 'undefined', 'correct horse battery staple']) t.equal(await hasher.verify(undefined, password), false);
});

t.test('an unknown account keeps its permit for as long as a known one does', async (t) => {
  // One permit with a queue of 48: while an unknown account is checked, a 50th caller is turned away.
  const single = await createPasswordHasher({ ...cheap, argon2MemoryKib: 4096 }, 1);
  const outcomes = await Promise.allSettled(Array.from({ length: 50 }, () => single.verify(undefined, 'any')));
  t.equal(outcomes.filter(({ status }) => status === 'fulfilled').length, 49);
  t.match(outcomes.at(-1), { status: 'rejected', reason: { code: 'service_unavailable' } });
});

t.test('hashing takes as many threads as there are cores, but leaves one to others', async (t) => {
  const capacity = async (threads: number, cores: number) => {
    const measured = await createPasswordHasher({ ...cheap, threads }, cores);
    const outcomes = await Promise.allSettled(Array.from({ length: 300 }, () => measured.hash('any')));
    return outcomes.filter(({ status }) => status === 'fulfilled').length;
  };
  t.equal(await capacity(4, 16), 3 * 49);
  t.equal(await capacity(4, 2), 2 * 49);
  t.equal(await capacity(1, 16), 49);
});

t.test('a hash of weaker parameters is to be made again, one of stronger ones is not', async (t) => {
  const demanding = await createPasswordHasher({ ...cheap, argon2MemoryKib: 32, argon2Passes: 2 }, 2);
  const made = (memoryCost: number, timeCost: number, algorithm = 2) => argon2('any', { memoryCost, timeCost, parallelism: 1, algorithm });
  t.equal(demanding.needsRehash(await made(32, 2)), false);
  t.equal(demanding.needsRehash(await made(64, 3)), false);
  t.equal(demanding.needsRehash(await made(31, 2)), true);
  t.equal(demanding.needsRehash(await made(32, 1)), true);
  t.equal(demanding.needsRehash(await made(32, 2, 0)), true, 'another variant of argon2');
  t.equal(demanding.needsRehash('$2b$10$abcdefghijklmnopqrstuv'), true, 'another kind of hash');
});
