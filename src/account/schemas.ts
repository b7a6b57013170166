import { type Static, Type } from '@sinclair/typebox';
import { nextCursorMember, pageMembers } from '../http/paging.ts';
import { strictObject } from '../http/schemas.ts';
import { EventSchema } from '../identity/event-schema.ts';
import { currentPasswordMember, localeMember, nullable, usernameMember } from '../identity/member-schemas.ts';
import { User } from '../identity/user-schema.ts';

export const AccountResult = strictObject({ user: User }, { description: 'The account.' });

export const ProfileBody = strictObject(
  {
    username: Type.Optional(usernameMember),
    locale: Type.Optional(nullable(localeMember, 'The language of mails, as a BCP 47 tag; null for the one that the service speaks.')),
  },
  { examples: [{ username: 'countess', locale: 'en' }] },
);
export type ProfileBody = Static<typeof ProfileBody>;

export const DeletionBody = strictObject(
  { password: currentPasswordMember('The password of the account.') },
  { examples: [{ password: 'correct horse battery staple' }] },
);

export const EventQuery = strictObject(pageMembers);
export const EventPage = strictObject(
  { events: Type.Array(EventSchema), nextCursor: nextCursorMember },
  { description: 'What happened to the account, newest first.' },
);

const time = (description?: string) => Type.String({ format: 'date-time', ...(description !== undefined && { description }) });

/** Everything that is stored about somebody, but for the password hash and what only the service can make use of. */
export const AccountExport = strictObject(
  {
    exportedAt: time(),
    account: strictObject({
      id: Type.String({ format: 'uuid' }),
      email: Type.String({ format: 'email' }),
      username: Type.String(),
      role: Type.String(),
      locale: Type.Union([Type.String(), Type.Null()]),
      createdAt: time(),
      confirmedAt: Type.Union([time(), Type.Null()], { description: 'Since when the address is confirmed.' }),
      pendingEmail: Type.Union([Type.String(), Type.Null()], { description: 'The address that is to replace it once it is proven.' }),
      pendingEmailSince: Type.Union([time(), Type.Null()]),
    }),
    sessions: Type.Array(
      strictObject({
        id: Type.String({ format: 'uuid' }),
        createdAt: time(),
        lastUsedAt: time(),
        idleExpiresAt: time('When it ends if it is not refreshed before.'),
        expiresAt: time(),
        rememberMe: Type.Boolean(),
        ip: Type.Union([Type.String(), Type.Null()]),
        userAgent: Type.Union([Type.String(), Type.Null()]),
      }),
    ),
    knownNetworks: Type.Array(strictObject({ network: Type.String(), lastUsedAt: time() }), {
      description: 'Networks that the account was logged in to from, as digests: guesses from elsewhere do not lock these out.',
    }),
    events: Type.Array(EventSchema),
    mails: Type.Array(
      strictObject({
        id: Type.String({ format: 'uuid' }),
        kind: Type.String(),
        recipient: Type.String(),
        status: Type.String({ description: '`queued`, `sent`, `failed` or `dropped`.' }),
        createdAt: time(),
        settledAt: Type.Union([time(), Type.Null()]),
      }),
      { description: 'Mails of the last days, until they are purged.' },
    ),
  },
  { description: 'All that is stored about the user.' },
);
export type AccountExport = Static<typeof AccountExport>;
