import { type Static, Type } from '@sinclair/typebox';
import { time, uuid } from '../schemas.ts';
import { emailText, roleText, usernameText } from './member-schemas.ts';
import type { UserRow } from './users.ts';

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
  { $id: 'User', additionalProperties: false, description: 'A user account.' },
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
