import { deflateRawSync } from 'node:zlib';

/** What stands in examples, for others to replace. Random text has none of these words. */
const placeholder =
  /(?:change|replace).?(?:me|this|it)|your.?(?:own|secret|super|very)|super.?secret|a.string.secret|example|default|insert|placeholder|password|keyboard.?cat|qwerty|do.?not.?use|this.?is.?(?:a|my|the)|at.?least.?\d/i;
/** Keys of tutorials, of which many have taken a copy, by how they begin. */
const published = /404E635266556A586E32|5367566B597033733676|586E3272357538782F41|9a4f2c8d3b7a1e6f4|3cfa76ef14937c1c0ea5/i;
/** Packed, 32 random digits take more than this; repetitions and runs take less. */
const leastPackedBytes = 26;

/** Tells whether a secret is one that an attacker would try: random ones of 32 bytes or more never are. */
export function isGuessable(secret: string): boolean {
  const bytes = Buffer.from(secret);
  // Of what goes up step by step, the steps are a repetition.
  const steps = bytes.map((byte, index) => byte - (bytes[index - 1] ?? 0));
  const isPattern = [bytes, steps].some((each) => deflateRawSync(each, { level: 9 }).length < leastPackedBytes);
  return isPattern || placeholder.test(secret) || published.test(secret);
}
