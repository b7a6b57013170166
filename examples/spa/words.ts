import type { components } from '../../openapi/latchkey.d.ts';

export type Problem = components['schemas']['Problem'];

const words: Partial<Record<Problem['code'], string>> = {
  validation_failed: 'Please look at the marked fields once more.',
  weak_password: 'This password is too easy to guess. Choose another one.',
  invalid_credentials: 'User name or password is wrong.',
  email_taken: 'There is an account with this address. Log in instead.',
  username_taken: 'This user name is taken. Choose another one.',
  unauthenticated: 'You are logged out. Log in again.',
  rate_limited: 'That was too often. Wait a while, then try again.',
  service_unavailable: 'The service is busy. Wait a moment, then try again.',
};

export const unreachable = 'The service cannot be reached. Try again in a moment.';

/**
 * What is said about a problem; of one that this application does not know, what the service says. A proxy may have
 * answered instead, with no problem at all.
 */
export function wordsFor({ code, detail }: Partial<Problem>): string {
  return (code && words[code]) ?? detail ?? unreachable;
}

/** The names of the fields at fault. */
export function fieldsAtFault({ code, errors = [] }: Problem): string[] {
  const named = errors.map(({ pointer }) => pointer.slice(1));
  return code === 'weak_password' ? [...named, 'password'] : named;
}
