import { type Static, Type } from '@sinclair/typebox';
import { maxPageLength, nextCursorMember, pageMembers } from '../http/paging.ts';
import { EventSchema, exampleEvent, presentEvent } from '../identity/event-schema.ts';
import type { EventRow } from '../identity/events.ts';
import { exampleUser, presentUser, UserSchema } from '../identity/user-schema.ts';
import type { UserRow } from '../identity/users.ts';
import { anyText, nullable, strictObject, text, uuid } from '../schemas.ts';

/** A user as administrators see them. */
const ManagedUser = strictObject({
  ...UserSchema.properties,
  disabled: Type.Boolean({ description: 'Whether the user is shut out.' }),
});
export type ManagedUser = Static<typeof ManagedUser>;
const exampleManagedUser: ManagedUser = { ...exampleUser, disabled: false };

export function presentManagedUser(user: UserRow): ManagedUser {
  return { ...presentUser(user), disabled: user.disabledAt !== null };
}

/** An event as administrators see it. */
const ManagedEvent = strictObject({
  ...EventSchema.properties,
  actorId: nullable(uuid(), 'Which administrator did it.'),
});

export function presentManagedEvent(event: EventRow): Static<typeof ManagedEvent> {
  return { ...presentEvent(event), actorId: event.actorId };
}

export const UserParams = strictObject({ id: uuid() });

export const UserQuery = strictObject({
  q: Type.Optional(text(254, 'Part of an address or a name, in any case; an empty one is part of all.')),
  ...pageMembers,
});
export const UserPage = strictObject(
  { users: Type.Array(ManagedUser, { maxItems: maxPageLength }), nextCursor: nextCursorMember },
  { description: 'Users in the order in which they registered.', examples: [{ users: [exampleManagedUser], nextCursor: null }] },
);
export const UserResult = strictObject({ user: ManagedUser }, { description: 'The user.', examples: [{ user: exampleManagedUser }] });

export const UserChangesBody = strictObject(
  {
    confirmed: Type.Optional(
      Type.Literal(true, { description: 'Confirms the address on the administrator’s word. It never becomes unconfirmed again.' }),
    ),
    disabled: Type.Optional(Type.Boolean({ description: 'Shuts the user out at once, or lets them in again.' })),
    role: Type.Optional(anyText('`user` or `admin`.')),
  },
  { examples: [{ disabled: true }] },
);

export const EventQuery = strictObject(pageMembers);
export const EventPage = strictObject(
  { events: Type.Array(ManagedEvent, { maxItems: maxPageLength }), nextCursor: nextCursorMember },
  {
    description: 'What happened to the account, newest first.',
    examples: [{ events: [{ ...exampleEvent, actorId: null }], nextCursor: null }],
  },
);
