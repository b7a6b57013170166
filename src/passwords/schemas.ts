import { type Static, Type } from '@sinclair/typebox';
import { strictObject } from '../http/schemas.ts';
import {
  currentPasswordMember,
  emailMember,
  newPasswordMember,
  passwordConfirmationMember,
  tokenMember,
} from '../identity/member-schemas.ts';

/** @param minLength of new passwords, in code points */
export const passwordChangeBody = (minLength: number) =>
  strictObject(
    {
      currentPassword: currentPasswordMember('The password that is in force.'),
      newPassword: newPasswordMember(minLength),
      newPasswordConfirmation: passwordConfirmationMember('newPassword'),
    },
    { examples: [{ currentPassword: 'correct horse battery staple', newPassword: 'incorrect donkey battery clip' }] },
  );
export type PasswordChangeBody = Static<ReturnType<typeof passwordChangeBody>>;

export const ForgottenBody = strictObject({ email: emailMember }, { examples: [{ email: 'ada@example.com' }] });

export const ForgottenResult = strictObject(
  { expiresIn: Type.Integer({ description: 'Seconds for which the link of the mail works, once it has been sent.' }) },
  { description: 'If there is an account with this address, a mail is on its way.' },
);

export const ResetTokenResult = strictObject(
  {
    email: Type.String({ format: 'email', description: 'Whose password it sets.' }),
    expiresAt: Type.String({ format: 'date-time', description: 'When it ceases to work.' }),
  },
  { description: 'The link works.' },
);

/** @param minLength of new passwords, in code points */
export const resetBody = (minLength: number) =>
  strictObject({
    token: tokenMember,
    newPassword: newPasswordMember(minLength),
    newPasswordConfirmation: passwordConfirmationMember('newPassword'),
  });
export type ResetBody = Static<ReturnType<typeof resetBody>>;
