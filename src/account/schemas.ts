import { type Static, Type } from '@sinclair/typebox';
import { maxPageLength, nextCursorMember, pageMembers } from '../http/paging.ts';
import { EventSchema, exampleEvent, ipText, userAgentText } from '../identity/event-schema.ts';
import { currentPasswordMember, emailText, localeMember, roleText, usernameMember, usernameText } from '../identity/member-schemas.ts';
import { exampleUser, User } from '../identity/user-schema.ts';
import { nullable, strictObject, text, time, uuid } from '../schemas.ts';

export const AccountResult = strictObject({ user: User }, { description: 'The account.', examples: [{ user: exampleUser }] });

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
  { events: Type.Array(EventSchema, { maxItems: maxPageLength }), nextCursor: nextCursorMember },
  { description: 'What happened to the account, newest first.', examples: [{ events: [exampleEvent], nextCursor: null }] },
);

/** Everything that is stored about somebody, but for the password hash and what only the service can make use of. */
export const AccountExport = strictObject(
  {
    exportedAt: time(),
    account: strictObject({
      id: uuid(),
      email: emailText(),
      username: usernameText,
      role: roleText,
      locale: nullable(localeMember),
      createdAt: time(),
      confirmedAt: nullable(time(), 'Since when the address is confirmed.'),
      pendingEmail: nullable(emailText(), 'The address that is to replace it once it is proven.'),
      pendingEmailSince: nullable(time()),
    }),
    sessions: Type.Array(
      strictObject({
        id: uuid(),
        createdAt: time(),
        lastUsedAt: time(),
        idleExpiresAt: time('When it ends if it is not refreshed before.'),
        expiresAt: time('When it ends in any case.'),
        rememberMe: Type.Boolean(),
        ip: nullable(ipText),
        userAgent: nullable(userAgentText),
      }),
    ),
    knownNetworks: Type.Array(strictObject({ network: text(64), lastUsedAt: time() }), {
      description: 'Networks that the account was logged in to from, as digests: guesses from elsewhere do not lock these out.',
    }),
    events: Type.Array(EventSchema),
    mails: Type.Array(
      strictObject({
        id: uuid(),
        kind: text(64),
        recipient: emailText(),
        status: text(64, '`queued`, `sent`, `failed` or `dropped`.'),
        createdAt: time(),
        settledAt: nullable(time()),
      }),
      { description: 'Mails of the last days, until they are purged.' },
    ),
  },
  {
    description: 'All that is stored about the user.',
    examples: [
      {
        exportedAt: '2026-11-21T09:00:00.000Z',
        account: {
          id: exampleUser.id,
          email: exampleUser.email,
          username: exampleUser.username,
          role: exampleUser.role,
          locale: 'en',
          createdAt: exampleUser.createdAt,
          confirmedAt: '2026-11-20T18:47:12.345Z',
          pendingEmail: null,
          pendingEmailSince: null,
        },
        sessions: [],
        knownNetworks: [],
        events: [exampleEvent],
        mails: [],
      },
    ],
  },
);
export type AccountExport = Static<typeof AccountExport>;
