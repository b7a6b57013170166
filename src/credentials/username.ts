import type { MemberFault } from '../problems/problem.ts';
import { lowerAscii } from './email.ts';

export const maxUsernameLength = 64;
/** Begins with a letter, so that it can never be taken for an address or a number. */
export const usernamePattern = '^[A-Za-z][A-Za-z0-9_.]*$';

/** Names that would pass for the service itself or for a role account (RFC 2142). */
const reserved = new Set([
  'admin',
  'administrator',
  'root',
  'system',
  'support',
  'security',
  'help',
  'info',
  'abuse',
  'postmaster',
  'hostmaster',
  'webmaster',
  'mailer.daemon',
  'no_reply',
  'noreply',
  'api',
  'auth',
  'me',
  'self',
  'null',
  'undefined',
  'anonymous',
  'everyone',
]);

/** The form in which user names are compared: unique without regard to case. */
export function canonicalUsername(username: string): string {
  return lowerAscii(username);
}

/** What is wrong with a name that somebody wants to have, apart from being taken. */
export function usernameFaults(username: string): MemberFault[] {
  const faults: MemberFault[] = [];
  if (!isUsername(username)) {
    faults.push({ pointer: '/username', code: 'pattern', message: 'must begin with a letter and have only letters, digits, _ and .' });
  }
  if (isReservedUsername(username)) faults.push({ pointer: '/username', code: 'reserved', message: 'is reserved' });
  return faults;
}

/** Tells whether a text has the form of a user name. */
export function isUsername(text: string): boolean {
  return text.length <= maxUsernameLength && new RegExp(usernamePattern).test(text);
}

/** Tells whether nobody may have this name. */
export function isReservedUsername(username: string): boolean {
  return reserved.has(canonicalUsername(username));
}
