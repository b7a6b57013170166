import { type Static, Type } from '@sinclair/typebox';
import { maxEmailLength } from '../credentials/email.ts';
import { maxPasswordLength } from '../credentials/password-policy.ts';
import { maxUsernameLength, usernamePattern } from '../credentials/username.ts';
import { strictObject } from '../http/schemas.ts';
import { User } from '../identity/user-schema.ts';

/** @param passwordMinLength in code points */
export const registrationBody = (passwordMinLength: number) =>
  strictObject(
    {
      email: Type.String({
        maxLength: maxEmailLength,
        format: 'email',
        description: 'A dot-atom local part and a domain with a dot. Kept as typed, compared without regard to case.',
      }),
      username: Type.String({
        minLength: 1,
        maxLength: maxUsernameLength,
        pattern: usernamePattern,
        description: 'Unique without regard to case.',
      }),
      password: Type.String({
        minLength: passwordMinLength,
        maxLength: maxPasswordLength,
        description:
          'Any characters; no rules about kinds of them. Common ones, and those made from the account or service name, are refused.',
      }),
      passwordConfirmation: Type.Optional(Type.String({ maxLength: maxPasswordLength, description: 'When sent, must equal password.' })),
      locale: Type.Optional(
        Type.String({
          maxLength: 35,
          pattern: '^[A-Za-z]{2,8}(-[A-Za-z0-9]{1,8})*$',
          description: 'The language of mails, as a BCP 47 tag.',
        }),
      ),
    },
    { examples: [{ email: 'ada@example.com', username: 'ada', password: 'correct horse battery staple' }] },
  );
export type RegistrationBody = Static<ReturnType<typeof registrationBody>>;

export const Registered = strictObject({ user: User }, { description: 'The account exists; a confirmation mail is on its way.' });
