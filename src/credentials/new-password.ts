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

export function createPasswordPolicy({ serviceName, minLength, leakedPasswords }: PasswordPolicyOptions): PasswordPolicy {
  return {
    async requireStrong(password, { email, username }) {
      // Tens of thousands of passwords, in memory from when the first is chosen.
      const { isWeakPassword } = await import('./password-policy.ts');
      const isWeak = isWeakPassword(password, { words: [email, username, serviceName], minLength });
      if (isWeak || (await leakedPasswords.has(password))) throw new Problem('weak_password');
    },
  };
}
