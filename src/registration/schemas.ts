import { type Static, Type } from '@sinclair/typebox';
import { emailMember, localeMember, newPasswordMember, passwordConfirmationMember, usernameMember } from '../identity/member-schemas.ts';
import { exampleUser, User } from '../identity/user-schema.ts';
import { strictObject } from '../schemas.ts';

/** @param passwordMinLength in code points */
export const registrationBody = (passwordMinLength: number) =>
  strictObject(
    {
      email: emailMember,
      username: usernameMember,
      password: newPasswordMember(passwordMinLength),
      passwordConfirmation: passwordConfirmationMember('password'),
      locale: Type.Optional(localeMember),
    },
    { examples: [{ email: 'ada@example.com', username: 'ada', password: 'correct horse battery staple' }] },
  );
export type RegistrationBody = Static<ReturnType<typeof registrationBody>>;

export const Registered = strictObject(
  { user: User },
  { description: 'The account exists; a confirmation mail is on its way.', examples: [{ user: { ...exampleUser, confirmed: false } }] },
);
