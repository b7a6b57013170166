import fc from 'fast-check';
import { known, knownNames } from './fuzz-cast.ts';
import { canary } from './log-canary.ts';
import type { Schema } from './openapi.ts';

/** A member of a body: its name and its value, as JSON text, so that it may be what no value is. */
type Member = readonly [name: string, json: string];
type Body = string | Uint8Array | undefined;

const json = (value: unknown): string => JSON.stringify(value);
const anyKnown = fc.constantFrom(...knownNames).map(known);
const awkwardTexts = [
  '',
  ' ',
  '%',
  '%00',
  "' OR 1=1--",
  '$1',
  '\\',
  '"',
  '../../etc/passwd',
  '<script>',
  '${7*7}',
  '\u202e',
  'a\u0301'.repeat(20),
  '\ufeff',
  '😀',
];
/** Made once: they take long to make. */
export const binaryText = fc.string({ unit: 'binary', maxLength: 8 });
const longerText = fc.string({ unit: 'grapheme', maxLength: 40 });
/** Text with a part that must not come back. */
const canaryText = fc.tuple(fc.constantFrom(...awkwardTexts), binaryText).map((parts) => parts.join(canary));

/** What makes a request work, by the name of the member. Everything else is made from the schema alone. */
const apt: Readonly<Record<string, readonly string[]>> = {
  email: ['me.email'],
  username: ['me.username'],
  password: ['me.password'],
  currentPassword: ['me.password'],
  refreshToken: ['me.refresh'],
};
const aptTokens: Readonly<Record<string, string>> = { disown: 'disown', reset: 'reset', email: 'change', confirm: 'confirmation' };

/** The mailed token that a path is about. */
export function aptToken(path: string): string {
  const kind = Object.keys(aptTokens).find((each) => path.includes(each));
  return known(aptTokens[kind ?? ''] ?? 'confirmation');
}

/** A name that nobody has yet. */
const unused = fc.stringMatching(/^[a-z]{12}$/);

/** A value for a member that its schema allows, and mostly one that means something. */
function meaningful(name: string, schema: Schema, path: string): fc.Arbitrary<unknown> {
  if (name === 'token') return fc.constant(aptToken(path));
  if (name === 'newEmail' || (name === 'email' && path === '/auth/register')) return unused.map((text) => `${text}@example.net`);
  if (name === 'username' && ['/auth/register', '/auth/me'].includes(path)) return unused;
  if (/^newPassword|^passwordConfirmation$/.test(name) || (name === 'password' && path === '/auth/register'))
    return fc.constant(known('me.password'));
  const names = apt[name];
  return names === undefined ? fromSchema(schema) : fc.constantFrom(...names.map(known));
}

/** Whatever a schema allows. */
export function fromSchema(schema: Schema): fc.Arbitrary<unknown> {
  const { type, anyOf, enum: choices, pattern, format, minLength = 0, maxLength = 40 } = schema;
  if (anyOf !== undefined) return fc.oneof(...anyOf.map(fromSchema));
  if (choices !== undefined) return fc.constantFrom(...choices);
  if (type === 'boolean') return fc.boolean();
  if (type === 'null') return fc.constant(null);
  if (type === 'object') return fc.constant({});
  if (format === 'uuid') return fc.oneof(fc.uuid(), fc.constantFrom('me.id', 'stranger.id', 'me.session').map(known));
  if (format === 'email') return fc.constant(`somebody-${canary}@example.net`);
  if (pattern !== undefined) return fc.stringMatching(new RegExp(pattern));
  return fc.oneof(
    anyKnown,
    longerText.map((text) => text.padEnd(minLength, '.').slice(0, maxLength)),
  );
}

/** A body that the schema allows, as its members. Of two that exclude each other it has one. */
function validMembers(schema: Schema, path: string): fc.Arbitrary<Member[]> {
  const { properties = {}, required = [], oneOf, anyOf } = schema;
  const withMembers = anyOf?.find((each) => each.type === 'object');
  if (withMembers !== undefined) return validMembers(withMembers, path);
  const alternatives = (oneOf ?? []).map((each) => each.required?.[0] ?? '');
  const member = (name: string): fc.Arbitrary<Member[]> => {
    const value = meaningful(name, properties[name] ?? {}, path).map((each): Member[] => [[name, json(each)]]);
    if (required.includes(name)) return value;
    return fc.oneof(value, fc.constant<Member[]>([]));
  };
  const plain = fc
    .tuple(
      ...Object.keys(properties)
        .filter((name) => !alternatives.includes(name))
        .map(member),
    )
    .map((each) => each.flat());
  if (alternatives.length === 0) return plain;
  const chosen = fc
    .constantFrom(...alternatives)
    .chain((name) => meaningful(name, properties[name] ?? {}, path).map((value): Member => [name, json(value)]));
  return fc.tuple(plain, chosen).map(([members, one]) => [...members, one]);
}

const otherTypes = [
  'null',
  'true',
  '0',
  '1e400',
  '[]',
  '{}',
  '{"$ne":1}',
  '{"length":3}',
  '["a"]',
  '""',
  '"\\ud800"',
  '"a\\u0000b"',
  '"\\udc00\\ud800"',
];
const unknownNames = [canary, '__proto__', 'constructor', 'role', 'confirmed', 'id', 'toString', '\\u005f_proto__', `/${canary}~`, ''];

type Mutation = (members: Member[], index: number) => Member[];
const replaced =
  (change: (member: Member) => Member[]): Mutation =>
  (members, index) =>
    members.flatMap((member, at) => (at === index ? change(member) : [member]));

/** One member that is not as it should be. */
const mutation: fc.Arbitrary<Mutation> = fc.oneof(
  fc.constant(replaced(() => [])),
  fc.constant(replaced((member) => [member, member])),
  fc.constant(replaced(([name, value]) => [[name.toUpperCase(), value]])),
  fc.constant(replaced(([name, value]) => [[name, `[${value}]`]])),
  fc.constantFrom(...otherTypes).map((value) => replaced(([name]) => [[name, value]])),
  fc.constantFrom(65, 129, 255, 2049, 8000, 20_000).map((length) => replaced(([name]) => [[name, json(canary.repeat(length / 6))]])),
  canaryText.map((text) => replaced(([name]) => [[name, json(text)]])),
  anyKnown.map((text) => replaced(([name]) => [[name, json(text)]])),
  fc.tuple(fc.constantFrom(...unknownNames), fc.constantFrom(...otherTypes, json(canary))).map(
    ([name, value]): Mutation =>
      (members) => [...members, [name, value]],
  ),
);

const write = (members: readonly Member[]) => `{${members.map(([name, value]) => `"${name}":${value}`).join(',')}}`;

/** What is no body of any operation. */
export const wildBody: fc.Arbitrary<Body> = fc.oneof(
  fc.constant(undefined),
  fc.uint8Array({ maxLength: 64 }),
  fc.json().map((text) => text.replaceAll('"":', `"${canary}":`)),
  fc.constantFrom(
    '',
    '{',
    '[]',
    'null',
    '"',
    `"${canary}"`,
    '\ufeff{}',
    '{}}',
    `${'['.repeat(8000)}`,
    `{"a":${'{"a":'.repeat(900)}1${'}'.repeat(901)}`,
  ),
  fc.constantFrom(16 * 1024 + 1, 200_000).map((length) => ' '.repeat(length)),
  fc.constantFrom('proof=x', `proof=${canary}&password=⟦me.password⟧`, 'proof=%ff', `${canary}=1&${canary}=2`),
);

/** A body for an operation: mostly one that it takes, else one that is nearly so, or none. */
export function bodyFor(schema: Schema, path: string): { valid: fc.Arbitrary<Body>; nearlyValid: fc.Arbitrary<Body> } {
  const members = validMembers(schema, path);
  return {
    valid: members.map(write),
    nearlyValid: fc
      .tuple(members, fc.array(mutation, { minLength: 1, maxLength: 2 }), fc.nat())
      .map(([list, mutations, at]) => write(mutations.reduce((each, mutate) => mutate(each, at % Math.max(1, each.length)), list))),
  };
}
