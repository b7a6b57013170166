import { de } from './de.ts';
import { en } from './en.ts';
import type { MailWords } from './words.ts';

/** The languages that mails are written in, by their BCP 47 primary subtag. */
export const languages = { en, de } as const satisfies Record<string, MailWords>;
export type Language = keyof typeof languages;

const fallback: Language = 'en';

/** The language for a BCP 47 tag (RFC 4647 §3.4, lookup): `de-AT` is German, what is not there is English. */
export function languageOf(tag: string | null): Language {
  const primary = tag?.toLowerCase().split('-')[0];
  return isLanguage(primary) ? primary : fallback;
}

/** One range of `Accept-Language`, with its weight (RFC 9110 §12.4.2); what is not written like this counts for nothing. */
const weightedRange = /^\s*([a-z]{1,8})(?:-[a-z\d-]*)?\s*(?:;\s*q=(0(?:\.\d*)?|1(?:\.0*)?)\s*)?$/i;
/** Nobody prefers more languages than this; whoever sends more is not to be listened to for longer. */
const mostRanges = 20;

/**
 * The language that a client prefers, of those that there are, from its `Accept-Language` header (RFC 9110 §12.5.4).
 *
 * @returns undefined when it wants none of them
 */
export function preferredLanguage(header: string | undefined): Language | undefined {
  const ranges = (header ?? '').split(',', mostRanges).map((range) => {
    const [, primary, weight = '1'] = weightedRange.exec(range) ?? [];
    return { primary: primary?.toLowerCase(), weight: Number(weight) };
  });
  const wanted = ranges.filter(({ primary, weight }) => isLanguage(primary) && weight > 0).sort((a, b) => b.weight - a.weight);
  return wanted[0]?.primary as Language | undefined;
}

function isLanguage(text: string | undefined): text is Language {
  return text !== undefined && Object.hasOwn(languages, text);
}
