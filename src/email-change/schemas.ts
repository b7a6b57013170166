import { type Static, Type } from '@sinclair/typebox';
import { currentPasswordMember, emailMember, emailText } from '../identity/member-schemas.ts';
import { exampleUser, User } from '../identity/user-schema.ts';
import { seconds, strictObject } from '../schemas.ts';

export const EmailChangeBody = strictObject(
  { newEmail: emailMember, password: currentPasswordMember('The password of the account.') },
  { examples: [{ newEmail: 'ada@example.org', password: 'correct horse battery staple' }] },
);
export type EmailChangeBody = Static<typeof EmailChangeBody>;

export const EmailChangeRequested = strictObject(
  {
    pendingEmail: emailText('The address that is to be proven.'),
    expiresIn: seconds('Seconds for which the link of the mail works, once it has been sent.'),
  },
  {
    description: 'A link is on its way to the new address, and a notice to the old one.',
    examples: [{ pendingEmail: 'ada@example.org', expiresIn: 3600 }],
  },
);

export const EmailChanged = strictObject(
  { user: User, status: Type.Literal('confirmed') },
  {
    description: 'The account has its new address, which is confirmed.',
    examples: [{ user: { ...exampleUser, email: 'ada@example.org' }, status: 'confirmed' }],
  },
);
