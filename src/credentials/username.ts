import { lowerAscii } from './email.ts';

export const maxUsernameLength = 64;
/** Begins with a letter, so that it can never be taken for an address or a number. */
export const usernamePattern = '^[A-Za-z][A-Za-z0-9_.]*$';

/** Names that would pass for the service itself or for a role account (RFC 2142). */
const reserved = new Set([
  'admin', 'administrator', 'root', 'system', 'support', 'security', 'help', 'info', 'abuse', 'postmaster', 'hostmaster',
  'webmaster', 'mailer.daemon', 'no_reply', 'noreply', 'api', 'auth', 'me', 'self', 'null', 'undefined', 'anonymous', 'everyone',
]); // biome-ignore format: a list reads better in rows

/** The form in which user names are compared: unique without regard to case. */
export function canonicalUsername(username: string): string {
  return lowerAscii(username);
}

/** Tells whether a text has the form of a user name. */
export function isUsername(text: string): boolean {
  return text.length <= maxUsernameLength && new RegExp(usernamePattern).test(text);
}

/** Tells whether nobody may register this name. */
export function isReservedUsername(username: string): boolean {
  return reserved.has(canonicalUsername(username));
}
