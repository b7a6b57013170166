import { type Static, Type } from '@sinclair/typebox';
import { time, uuid } from '../schemas.ts';
import { emailText, roleText, usernameText } from './member-schemas.ts';
import type { UserRow } from './users.ts';

/** Somebody for the examples of the OpenAPI document. */
export const exampleUser = {
  id: '019a9d3c-6f00-7cc2-9d1e-2f6f0a5b7c31',
  email: 'ada@example.com',
  username: 'ada',
  role: 'user',
  confirmed: true,
  createdAt: '2026-11-20T18:45:00.000Z',
};

/** A user as everybody sees it; nothing else of the row ever leaves the service. */
export const UserSchema = Type.Object(
  {
    id: uuid('UUIDv7.'),
    email: emailText(),
    username: usernameText,
    role: roleText,
    confirmed: Type.Boolean({ description: 'Whether the address has been confirmed.' }),
    createdAt: time(),
  },
  { $id: 'User', additionalProperties: false, description: 'A user account.', examples: [exampleUser] },
);
export type User = Static<typeof UserSchema>;

/** A user as part of an answer: by reference, so that the OpenAPI document describes it once. */
export const User = Type.Unsafe<User>({ $ref: 'User#' });

export function presentUser(user: UserRow): User {
  return {
    id: user.id,
    email: user.email,
    username: user.username,
    role: user.role,
    confirmed: user.confirmedAt !== null,
    createdAt: user.createdAt.toISOString(),
  };
}
