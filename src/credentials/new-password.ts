import { type MemberFault, Problem } from '../problems/problem.ts';
import { isWeakPassword } from './password-policy.ts';

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

interface Context {
  /** The address and the name of the account. */
  readonly email: string;
  readonly username: string;
  readonly serviceName: string;
  /** In code points. */
  readonly minLength: number;
}

/** @throws Problem `weak_password` */
export function refuseWeakPassword(password: string, { email, username, serviceName, minLength }: Context): void {
  if (isWeakPassword(password, { words: [email, username, serviceName], minLength })) throw new Problem('weak_password');
}
