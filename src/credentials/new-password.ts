import { type MemberFault, Problem } from '../problems/problem.ts';
import type { LeakedPasswords } from './leaked-passwords.ts';

interface NewPassword {
  /** How the request calls it. */
  readonly member: string;
  readonly password: string;
  readonly confirmation: string | undefined;
}

/** The fault of a password that was typed twice, and not the same way. */
export function confirmationFaults({ member, password, confirmation }: NewPassword): MemberFault[] {
  const isSame = confirmation === undefined || confirmation === password;
  return isSame ? [] : [{ pointer: `/${member}Confirmation`, code: 'mismatch', message: `must equal ${member}` }];
}

/** What a new password must be. */
export interface PasswordPolicy {
  /** Loads what takes long to load, which the first new password would have to wait for otherwise. */
  load(): Promise<void>;
  /**
   * Makes sure that a password is not easily guessed by whoever knows the account.
   *
   * @throws Problem `weak_password`
   */
  requireStrong(password: string, account: { readonly email: string; readonly username: string }): Promise<void>;
}

interface PasswordPolicyOptions {
  readonly serviceName: string;
  /** In code points. */
  readonly minLength: number;
  readonly leakedPasswords: LeakedPasswords;
}

/** With tens of thousands of passwords, which are not worth waiting for at the start. */
const importPolicy = () => import('./password-policy.ts');

export function createPasswordPolicy({ serviceName, minLength, leakedPasswords }: PasswordPolicyOptions): PasswordPolicy {
  return {
    load: async () => void (await importPolicy()),

    async requireStrong(password, { email, username }) {
      const { isWeakPassword } = await importPolicy();
      const isWeak = isWeakPassword(password, { words: [email, username, serviceName], minLength });
      if (isWeak || (await leakedPasswords.has(password))) throw new Problem('weak_password');
    },
  };
}
