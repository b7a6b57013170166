import fc from 'fast-check';
import t from 'tap';
import { parseJsonBody } from '../../src/http/json-body.ts';

const parse = (text: string) => parseJsonBody(Buffer.from(text));
const malformed = { code: 'malformed_request', status: 400 };

t.test('whatever JSON.stringify writes is read as it was, with any white space', async (t) => {
  const hasPrototype = (text: string) => /__proto__|constructor/.test(text);
  const text = fc.string({ unit: fc.constantFrom('"', '\\', ':', ',', '{', '}', 'a', 'é', '🦜', ' ', '\n', '\t') });
  const value = fc.jsonValue({ stringUnit: 'grapheme' });
  fc.assert(
    fc.property(fc.oneof(value, fc.dictionary(text, text)), fc.integer({ min: 0, max: 3 }), (original, indent) => {
      const written = JSON.stringify(original, undefined, indent);
      if (hasPrototype(written) || written.includes('\\u0000')) return true;
      return JSON.stringify(parse(` ${written}\n`)) === JSON.stringify(JSON.parse(written));
    }),
    { numRuns: 300 },
  );
  t.pass();
});

t.test('a member that is named twice is refused, in whatever spelling, order or depth', async (t) => {
  t.same(parse('{"email":"email\\":","b":{"email":1}}'), { email: 'email":', b: { email: 1 } }, 'one name in two objects is no repetition');
  const repeated = [
    '{"email":1,"email":1}',
    '{"email":1,"\\u0065mail":2}',
    '{"\\u0065mail":1,"em\\u0061il":2}',
    '{"a":1,"b":2,"a" \n:3}',
    '{"":1,"":2}',
    '{"\\"":1,"\\u0022":2}',
    '{"/":1,"\\/":2}',
    '{"é":1,"\\u00e9":2}',
    '{"1":1,"1":2}',
    '[[{"a":{"b":1,"b":2}}]]',
    '{"a":{"a":1},"a":{"a":1}}',
  ];
  for (const text of repeated) t.throws(() => parse(text), malformed, text);
  fc.assert(
    fc.property(fc.string({ unit: 'grapheme' }), fc.nat(), (name, at) => {
      const spelt = [...name.toWellFormed()].map((each, index) => (index === at % 8 ? escaped(each) : JSON.stringify(each).slice(1, -1)));
      t.throws(() => parse(`{${JSON.stringify(name.toWellFormed())}:1,"${spelt.join('')}":2}`), malformed);
    }),
    { numRuns: 50 },
  );
});

/** A character as a client that escapes everything would write it. */
function escaped(character: string): string {
  const units = Array.from({ length: character.length }, (_, index) => character.charCodeAt(index));
  return units.map((unit) => `\\u${unit.toString(16).padStart(4, '0')}`).join('');
}

t.test('D01: a member that reaches a prototype is refused, in whatever spelling or depth', async (t) => {
  t.same(parse('{"proto":1,"constructor":"a builder","prototype":1}'), { proto: 1, constructor: 'a builder', prototype: 1 });
  const attacks = [
    '{"__proto__":{"admin":true}}',
    '{"__proto__":null}',
    '{"\\u005f_proto__":1}',
    '{"__pro\\u0074o__":{}}',
    '{"constructor":{"prototype":{"admin":true}}}',
    '{"c\\u006fnstructor":{"proto\\u0074ype":1}}',
    '[{"a":[{"__proto__":1}]}]',
    '{"a":{"b":{"constructor":{"prototype":null}}}}',
  ];
  for (const text of attacks) t.throws(() => parse(text), malformed, text);
  t.notOk('admin' in {});
});

t.test('D05: text that is not well-formed is refused, as a value and as a name', async (t) => {
  t.same(parse('{"a":"\\ud83e\\udd9c"}'), { a: '🦜' }, 'a pair of surrogates is a character');
  for (const text of ['\\u0000', '\\ud83e', '\\udd9c', '\\udd9c\\ud83e', 'a\\u0000b']) {
    t.throws(() => parse(`{"a":"${text}"}`), malformed, text);
    t.throws(() => parse(`{"a":["${text}"]}`), malformed, text);
    t.throws(() => parse(`{"${text}":1}`), malformed, text);
    t.throws(() => parse(`"${text}"`), malformed, text);
  }
});

t.test('bytes that are not UTF-8 are refused', async (t) => {
  t.equal(parseJsonBody(Buffer.from([0x22, 0xc3, 0xa9, 0x22])), 'é');
  const bytes = [[0xe9], [0xc0, 0x80], [0xc3], [0xed, 0xa0, 0x80], [0xf4, 0x90, 0x80, 0x80], [0xff], [0x80]];
  for (const each of bytes) t.throws(() => parseJsonBody(Buffer.from([0x22, ...each, 0x22])), malformed, String(each));
  t.throws(() => parseJsonBody(Buffer.from('{"a":1}', 'utf16le')), malformed);
  t.throws(() => parse('\ufeff{"a":1}'), malformed, 'a byte order mark is no JSON');
});

t.test('what is not JSON is refused, and nothing at all is no body', async (t) => {
  t.equal(parseJsonBody(Buffer.alloc(0)), undefined);
  const wrong = [
    ' ',
    '{',
    '{"a":1,}',
    "{'a':1}",
    '{a:1}',
    '[1,]',
    'NaN',
    'undefined',
    '01',
    '1.',
    '"\n"',
    '{"a":1}{"b":2}',
    '{"a":1}\0',
    '//\n{}',
    '\u00a0{}',
  ];
  for (const text of wrong) t.throws(() => parse(text), malformed, encodeURI(text));
});

t.test('the deepest and the widest body that can be sent is read in no time', async (t) => {
  const start = performance.now();
  t.ok(parse(`${'['.repeat(8192)}${']'.repeat(8192)}`));
  t.ok(parse(`[${'1,'.repeat(8000)}1]`));
  t.throws(() => parse(`{${'"a":1,'.repeat(2700)}"a":1}`), malformed);
  t.throws(() => parse(`"${'\\"'.repeat(8000)}`), malformed);
  t.ok(performance.now() - start < 2000);
});
