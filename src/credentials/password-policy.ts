import { domainToUnicode } from 'node:url';
import { dictionary } from '@zxcvbn-ts/language-common';
import { codePoints } from './password-length.ts';

/** Runs along the keyboard or the digits, in either direction, that lists of leaked passwords hold in many lengths. */
const runs = ['1234567890'.repeat(13), 'abcdefghijklmnopqrstuvwxyz'.repeat(5), 'qwertyuiopasdfghjklzxcvbnm'].flatMap((run) => [
  run,
  [...run].reverse().join(''),
]);

/** What is repeated, such as `123123123`, is on those lists when it is short: up to four letters or digits, and no longer than this in all. */
const maxRepetition = 20;
const repeatedSizes = [1, 2, 3, 4];

/** What is left of a password without a context word must be a password by itself, by the least of rules. */
const meaningfulRemainder = 8;

/** What people put behind a common word of as many characters as a password must have, so that it passes for another one. */
const tails = [/$/, ...[1, 2, 3, 4].map((length) => new RegExp(`[\\s\\d!-/:-@[-\`{-~]{${length}}$`))];
const meaningfulWord = 8;
/** What is shorter is part of some run by chance. */
const meaningfulRest = 4;
/** And what they put in place of letters. */
const letterOf: Readonly<Record<string, string>> = {
  '@': 'a',
  '4': 'a',
  '3': 'e',
  '1': 'i',
  '!': 'i',
  '0': 'o',
  $: 's',
  '5': 's',
  '7': 't',
};

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
 * It is when it is among some 50,000 common ones, the longer of them in disguise, too, is a plain run or a short repetition, or when
 * without the context words little is left of it, or only such a one. There are no rules about kinds of characters. Length
 * is not looked at here.
 */
export function isWeakPassword(password: string, { words, minLength }: PasswordContext): boolean {
  const folded = password.normalize('NFC').toLowerCase();
  if (isCommon(folded) || common.has(password)) return true;
  const rest = without(folded, contextWords(words));
  if (rest === folded) return false;
  const bare = rest.replace(/^[\s!-/:-@[-`{-~]+|[\s!-/:-@[-`{-~]+$/g, '');
  return codePoints(rest) < Math.min(minLength, meaningfulRemainder) || (bare.length >= meaningfulRest && isCommon(bare));
}

function isCommon(folded: string): boolean {
  return isListed(folded) || tails.some((tail) => isListedBefore(folded.replace(tail, ''), folded));
}

/** Digits behind digits make another number; a word, or a number with signs behind it, stays what it is. */
function isListedBefore(word: string, folded: string): boolean {
  if (word.length < meaningfulWord) return false;
  if (!/\d/.test(folded.slice(word.length)) && isListed(word)) return true;
  const spelledOut = word.replace(/[@4310!$57]/g, (sign) => letterOf[sign] ?? sign);
  return /[a-z]/.test(word) && (common.has(word) || common.has(spelledOut));
}

function isListed(folded: string): boolean {
  return common.has(folded) || runs.some((run) => run.includes(folded)) || isRepetition(folded);
}

/** The longest first: others may be parts of them. */
function without(text: string, words: readonly string[]): string {
  return words.toSorted((a, b) => b.length - a.length).reduce((rest, word) => rest.replaceAll(word, ''), text);
}

function isRepetition(text: string): boolean {
  const mayBe = text.length <= maxRepetition && /^[a-z0-9]+$/.test(text);
  return mayBe && repeatedSizes.some((size) => text.slice(size) === text.slice(0, -size));
}

/** An address counts as itself, as people read and type it, and as its local part. Very short words would refuse passwords for nothing. */
function contextWords(words: readonly string[]): string[] {
  return words
    .flatMap((word) => {
      const [local = '', domain] = word.split('@');
      return domain === undefined ? [word] : [word, `${local}@${domainToUnicode(domain)}`, local];
    })
    .map((word) => word.toLowerCase())
    .filter((word) => word.length >= 4);
}
