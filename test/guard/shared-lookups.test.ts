import t from 'tap';
import { shareLookups } from '../../src/guard/shared-lookups.ts';

/** A look-up whose answers are given by hand, in the order in which they were asked for. */
function asked() {
  const open: { key: string; answer: (value: string) => void; fail: (error: Error) => void }[] = [];
  const look = shareLookups((key) => new Promise<string>((answer, fail) => open.push({ key, answer, fail })));
  const next = () => open.shift() ?? { key: '', answer() {}, fail() {} };
  return { look, next, count: () => open.length };
}

t.test('whoever asks while a look-up is under way shares the next, which begins when that has ended', async (t) => {
  const { look, next, count } = asked();
  const first = look('a');
  const [second, third] = [look('a'), look('a')];
  t.equal(count(), 1);
  next().answer('before');
  t.equal(await first, 'before');
  t.equal(count(), 1, 'one for both');
  const fourth = look('a');
  next().answer('after');
  t.strictSame(await Promise.all([second, third]), ['after', 'after'], 'not what was known before they asked');
  next().answer('later');
  t.equal(await fourth, 'later');
  t.equal(count(), 0);
});

t.test('keys do not wait for each other', async (t) => {
  const { look, count } = asked();
  look('a');
  look('b');
  t.equal(count(), 2);
});

t.test('a look-up that fails does so for those who share it, and for nobody else', async (t) => {
  const { look, next } = asked();
  const first = look('a');
  const second = look('a');
  next().fail(new Error('away'));
  await t.rejects(first, { message: 'away' });
  next().answer('back');
  t.equal(await second, 'back');
  const third = look('a');
  next().answer('anew');
  t.equal(await third, 'anew', 'and nothing is kept');
});
