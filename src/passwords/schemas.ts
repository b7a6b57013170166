import type { Static } from '@sinclair/typebox';
import {
  currentPasswordMember,
  emailMember,
  emailText,
  exampleToken,
  newPasswordMember,
  passwordConfirmationMember,
  tokenMember,
} from '../identity/member-schemas.ts';
import { seconds, strictObject, time } from '../schemas.ts';

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
  { expiresIn: seconds('Seconds for which the link of the mail works, once it has been sent.') },
  { description: 'If there is an account with this address, a mail is on its way.', examples: [{ expiresIn: 3600 }] },
);

export const ResetTokenResult = strictObject(
  {
    email: emailText('Whose password it sets.'),
    expiresAt: time('When it ceases to work.'),
  },
  { description: 'The link works.', examples: [{ email: 'ada@example.com', expiresAt: '2026-11-20T19:45:00.000Z' }] },
);

/** @param minLength of new passwords, in code points */
export const resetBody = (minLength: number) =>
  strictObject(
    {
      token: tokenMember,
      newPassword: newPasswordMember(minLength),
      newPasswordConfirmation: passwordConfirmationMember('newPassword'),
    },
    { examples: [{ token: exampleToken, newPassword: 'incorrect donkey battery clip' }] },
  );
export type ResetBody = Static<ReturnType<typeof resetBody>>;
