import type { MailKind } from '../../db/kinds.ts';

/** What one mail says; the layout says the rest. */
export interface MailText {
  readonly subject: string;
  readonly paragraphs: readonly string[];
  /** What the button says, for a mail with a link. */
  readonly button?: string;
  readonly afterButton?: readonly string[];
  /** Why the person gets this mail. */
  readonly reason: string;
}

/** What the words may name. No user name is among it: a name like `evil.com` would become a link in mail programs. */
export interface MailFacts {
  readonly service: string;
  /** How long the link of this mail works, in words. */
  readonly lifetime: string;
}

/** All words of all mails in one language. */
export interface MailWords {
  readonly greeting: string;
  readonly linkIntroduction: string;
  /** What the link says that is for somebody who has nothing to do with the account, and what stands before its address. */
  readonly disown: string;
  readonly disownIntroduction: string;
  readonly noReply: string;
  readonly duration: (seconds: number) => string;
  readonly mails: Readonly<Record<MailKind, (facts: MailFacts) => MailText>>;
}

/** The largest unit that measures a duration without a remainder: 3600 is one hour, 5400 is 90 minutes. */
export function inLargestUnit(seconds: number): readonly [amount: number, unit: 'day' | 'hour' | 'minute' | 'second'] {
  if (seconds % 86_400 === 0) return [seconds / 86_400, 'day'];
  if (seconds % 3600 === 0) return [seconds / 3600, 'hour'];
  if (seconds % 60 === 0) return [seconds / 60, 'minute'];
  return [seconds, 'second'];
}
