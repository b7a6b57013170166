import { Type } from '@sinclair/typebox';
import { maxEmailLength } from '../credentials/email.ts';
import { maxPasswordLength } from '../credentials/password-length.ts';
import { maxUsernameLength, usernamePattern } from '../credentials/username.ts';
import { anyText, maxUrlLength, text } from '../schemas.ts';

/** Members that several requests share. */

export const emailMember = Type.String({
  maxLength: maxEmailLength,
  format: 'email',
  description: 'A dot-atom local part and a domain with a dot. Kept as typed, compared without regard to case.',
});

export const usernameMember = Type.String({
  minLength: 1,
  maxLength: maxUsernameLength,
  pattern: usernamePattern,
  description: 'Unique without regard to case.',
});

/** As answers have them: an address, a name and a language that have been accepted once. */
export const emailText = (description?: string) =>
  Type.String({ format: 'email', maxLength: maxEmailLength, ...(description !== undefined && { description }) });
export const usernameText = text(maxUsernameLength);
export const roleText = Type.String({
  enum: ['user', 'admin'],
  maxLength: 64,
  description: 'What the user may do beyond their own account.',
});

/** @param minLength in code points */
export const newPasswordMember = (minLength: number) =>
  Type.String({
    minLength,
    maxLength: maxPasswordLength,
    description: 'Any characters; no rules about kinds of them. Common ones, and those made from the account or service name, are refused.',
  });

export const passwordConfirmationMember = (member: string) =>
  Type.Optional(Type.String({ maxLength: maxPasswordLength, description: `When sent, must equal ${member}.` }));

// An over-long password is simply a wrong one, and takes as long to find out.
export const currentPasswordMember = (description: string) => anyText(description);

export const localeMember = Type.String({
  maxLength: 35,
  pattern: '^[A-Za-z]{2,8}(-[A-Za-z0-9]{1,8})*$',
  description: 'The language of mails, as a BCP 47 tag.',
});

/** Far longer than any token of ours, and short enough to be looked at for nothing. */
const maxTokenLength = 2048;
/** For examples: what a mailed token looks like. */
export const exampleToken = 'eyJhbGciOiJIUzI1NiIs….eyJzdWIiOiIwMTlhOWQ….Zk3vQ8rT1xYb6LmN…';
export const tokenMember = Type.String({ minLength: 1, maxLength: maxTokenLength, description: 'The token of the mailed link.' });

export const tokenParams = Type.Object(
  { token: text(maxUrlLength, 'The token of the mailed link: its last part.') },
  { additionalProperties: false },
);

/** A mailed link's token, from whoever has its account's session or password. */
export const linkBody = Type.Object(
  {
    token: tokenMember,
    password: Type.Optional(currentPasswordMember("The account's password, which stands in for its session: for another device.")),
  },
  { additionalProperties: false, examples: [{ token: exampleToken, password: 'correct horse battery staple' }] },
);
