import { type Static, Type } from '@sinclair/typebox';
import { ipText, userAgentText } from '../identity/event-schema.ts';
import { exampleUser, User } from '../identity/user-schema.ts';
import { anyText, namedExamples, nullable, seconds, strictObject, text, time, uuid } from '../schemas.ts';

/** Nobody has more devices; who opens more sessions than this loses the oldest ones (ASVS 7.1.2). */
export const maxSessions = 20;
/** Of tokens that a client keeps: four times what the longest address, name and issuer make. */
const maxTokenLength = 8192;

// An over-long name or password is simply a wrong one, and takes as long to find out.
const name = (description: string) => Type.Optional(anyText(description));

const exampleLogin = { email: 'ada@example.com', password: 'correct horse battery staple' };
const exampleRefreshToken = 'AZqdPAYwfnKsTWEPgqsXcAAAAAF5cGxhaW4gYnl0ZXMgYW5kIGEgTUFD';

export const LoginBody = strictObject(
  {
    email: name('The address of the account, in any case. Either this or username.'),
    username: name('The name of the account, in any case. Either this or email.'),
    password: anyText(),
    rememberMe: Type.Optional(Type.Boolean({ default: false, description: 'Keeps an idle session for 7 days instead of one.' })),
    transport: Type.Optional(
      Type.Union([Type.Literal('bearer'), Type.Literal('cookie')], {
        default: 'bearer',
        description: 'How the tokens travel: in the body, or in cookies that scripts cannot read.',
      }),
    ),
  },
  {
    oneOf: [{ required: ['email'] }, { required: ['username'] }],
    ...namedExamples({
      bearer: { summary: 'bearer: the tokens come in the answer', value: exampleLogin },
      cookie: { summary: 'cookie: the browser keeps the tokens', value: { ...exampleLogin, transport: 'cookie' } },
    }),
  },
);
export type LoginBody = Static<typeof LoginBody>;

export const RefreshBody = Type.Union([Type.Null(), strictObject({ refreshToken: Type.Optional(anyText()) })], {
  description: 'The refresh token; nothing, or an empty object, when it comes as a cookie.',
  ...namedExamples({
    bearer: { summary: 'bearer: the newest refresh token of an answer', value: { refreshToken: exampleRefreshToken } },
    cookie: { summary: 'cookie: the browser sends the refresh token', value: {} },
  }),
});
export type RefreshBody = Static<typeof RefreshBody>;

const exampleSessionId = '019a9d3d-1bb8-7f0a-9c55-0d3e8a6b4f21';
const exampleResult = {
  user: exampleUser,
  session: { id: exampleSessionId, expiresAt: '2026-12-20T18:46:30.000Z' },
  tokenType: 'Bearer' as const,
  expiresIn: 300,
};

const result = {
  user: User,
  session: strictObject({
    id: uuid(),
    expiresAt: time('When the session ends in any case.'),
  }),
  tokenType: Type.Literal('Bearer'),
  expiresIn: seconds('Seconds for which the access token lives.'),
};

const BearerResult = strictObject({
  ...result,
  accessToken: text(maxTokenLength, 'A JWT (RFC 9068), to be sent as `Authorization: Bearer …`.'),
  refreshToken: text(maxTokenLength, 'Opaque. Replaced at each refresh; keep the newest.'),
});
export type BearerResult = Static<typeof BearerResult>;

const CookieResult = strictObject(result);
export type CookieResult = Static<typeof CookieResult>;

export const LoginResult = Type.Union([BearerResult, CookieResult], {
  description: 'A session, and the tokens that stand for it: in the body, or in the cookies that the answer sets.',
  ...namedExamples({
    bearer: {
      summary: 'bearer: the tokens are here',
      value: {
        ...exampleResult,
        accessToken: 'eyJhbGciOiJFUzI1NiIsInR5cCI6ImF0K2p3dCIsImtpZCI6Ii4uLiJ9.eyJzdWIiOiIwMTlhOWQzYyIsLi4ufQ.c2lnbmF0dXJl',
        refreshToken: exampleRefreshToken,
      },
    },
    cookie: { summary: 'cookie: the tokens are in cookies', value: exampleResult },
  }),
});

export const SessionParams = strictObject({ id: uuid() });

const SessionSummary = strictObject({
  id: uuid(),
  createdAt: time(),
  lastUsedAt: time('When it was opened or last refreshed.'),
  expiresAt: time('When the session ends in any case.'),
  userAgent: nullable(userAgentText),
  device: nullable(userAgentText, 'The user agent in words, such as `Firefox on Linux`.'),
  ip: nullable(ipText),
  current: Type.Boolean({ description: 'Whether it is the session of this request.' }),
});
export type SessionSummary = Static<typeof SessionSummary>;

export const SessionList = strictObject(
  { sessions: Type.Array(SessionSummary, { maxItems: maxSessions }) },
  {
    description: 'The live sessions, the one used last first.',
    examples: [
      {
        sessions: [
          {
            id: exampleSessionId,
            createdAt: '2026-11-20T18:46:30.000Z',
            lastUsedAt: '2026-11-20T19:20:00.000Z',
            expiresAt: '2026-12-20T18:46:30.000Z',
            userAgent: 'Mozilla/5.0 (X11; Linux x86_64; rv:145.0) Gecko/20100101 Firefox/145.0',
            device: 'Firefox on Linux',
            ip: '203.0.113.9',
            current: true,
          },
        ],
      },
    ],
  },
);
