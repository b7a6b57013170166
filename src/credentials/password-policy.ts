import { dictionary } from '@zxcvbn-ts/language-common';

/** NIST SP 800-63B-4 §3.1.1.2 wants at least 64 to be accepted; more than this only costs time. */
export const maxPasswordLength = 128;

/** Runs along the keyboard or the digits that lists of leaked passwords hold in many lengths. */
const runs = ['1234567890'.repeat(13), 'abcdefghijklmnopqrstuvwxyz'.repeat(5), 'qwertyuiopasdfghjklzxcvbnm'];

/** What is left of a password without a context word must be a password by itself, by the least of rules. */
const meaningfulRemainder = 8;

const common: ReadonlySet<string> = new Set(dictionary['passwords-common'] as readonly string[]);

interface PasswordContext {
  /** Words that an attacker tries first: the address, the user name, the name of the service. */
  readonly words: readonly string[];
  /** In code points. */
  readonly minLength: number;
}

/**
 * Tells whether a password is easy to guess (NIST SP 800-63B-4 §3.1.1.2, ASVS 6.2.4, 6.2.11).
 *
 * It is when it is among some 50,000 common ones, is a plain run, or when little is left of it without a context
 * word. There are no rules about kinds of characters. Length is not looked at here.
 */
export function isWeakPassword(password: string, { words, minLength }: PasswordContext): boolean {
  const folded = password.toLowerCase();
  if (common.has(folded) || common.has(password) || runs.some((run) => run.includes(folded))) return true;
  return contextWords(words).some(
    (word) =>
      folded === word || (folded.includes(word) && codePoints(folded.replaceAll(word, '')) < Math.min(minLength, meaningfulRemainder)),
  );
}

/** An address counts as itself and as its local part. Very short words would refuse passwords for nothing. */
function contextWords(words: readonly string[]): string[] {
  return words
    .flatMap((word) => [word, word.split('@')[0] ?? word])
    .map((word) => word.toLowerCase())
    .filter((word) => word.length >= 4);
}

/** The length as people count it: in characters, whatever they take to encode. */
export function codePoints(text: string): number {
  return [...text].length;
}
