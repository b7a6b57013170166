/** All pages that there are, by what they tell. */
export const pageKinds = [
  'confirmed',
  'already_confirmed',
  'confirm',
  'confirm_with_password',
  'email_changed',
  'change_email',
  'change_email_with_password',
  'wrong_account',
  'expired',
  'expired_with_password',
  'used',
  'invalid',
  'email_taken',
  'mail_sent',
  'reset',
  'reset_expired',
  'reset_used',
  'reset_done',
  'disown',
  'disowned',
  'disown_confirmed',
  'failed',
] as const;
export type PageKind = (typeof pageKinds)[number];

/** What the words may name; a page that names an address is for somebody who reads its mails. */
export interface PageFacts {
  readonly service: string;
  readonly email: string;
  /** Of the session that there is. */
  readonly username: string;
}

/** What one page says; the template says the rest. */
export interface PageText {
  readonly title: string;
  readonly paragraphs: readonly string[];
  /** What the button of its form says, for a page with a form. */
  readonly button?: string;
}

/** Why something that was sent with a form was not done. */
export interface PageErrors {
  readonly invalid_credentials: string;
  readonly weak_password: string;
  readonly mismatch: string;
  readonly length: (shortest: number, longest: number) => string;
  readonly out_of_date: string;
  readonly rate_limited: (wait: string) => string;
  readonly service_unavailable: string;
  readonly anything_else: string;
}

/** All words of all pages in one language. */
export interface PageWords {
  readonly continue: (service: string) => string;
  readonly password: string;
  readonly newPassword: string;
  readonly newPasswordConfirmation: string;
  readonly email: string;
  readonly errors: PageErrors;
  readonly pages: Readonly<Record<PageKind, (facts: PageFacts) => PageText>>;
}
