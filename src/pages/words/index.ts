import type { Language } from '../../mail/words/index.ts';
import { de } from './de.ts';
import { en } from './en.ts';
import type { PageWords } from './words.ts';

/** The words of the pages, in the languages of the mails. */
export const pageWords: Readonly<Record<Language, PageWords>> = { en, de };
