import { deflateRawSync } from 'node:zlib';

/** What stands in examples, for others to replace. Random text has none of these words. */
const placeholder = /change.?(?:me|this|it)|replace.?(?:me|this|it)|your.?(?:own|secret)|example|default|insert|placeholder|password/i;
/** Packed, 32 random digits take more than this; repetitions and runs take less. */
const leastPackedBytes = 26;

/** Tells whether a secret is one that an attacker would try: random ones of 32 bytes or more never are. */
export function isGuessable(secret: string): boolean {
  const bytes = Buffer.from(secret);
  // Of what goes up step by step, the steps are a repetition.
  const steps = bytes.map((byte, index) => byte - (bytes[index - 1] ?? 0));
  const isPattern = [bytes, steps].some((each) => deflateRawSync(each, { level: 9 }).length < leastPackedBytes);
  return isPattern || placeholder.test(secret);
}
