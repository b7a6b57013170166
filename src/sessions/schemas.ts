import { type Static, Type } from '@sinclair/typebox';
import { strictObject } from '../http/schemas.ts';
import { User } from '../identity/user-schema.ts';

// No lengths here: an over-long name or password is simply a wrong one, and takes as long to find out.
const name = (description: string) => Type.Optional(Type.String({ minLength: 1, description }));

export const LoginBody = strictObject(
  {
    email: name('The address of the account, in any case. Either this or username.'),
    username: name('The name of the account, in any case. Either this or email.'),
    password: Type.String({ minLength: 1 }),
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
    examples: [{ email: 'ada@example.com', password: 'correct horse battery staple' }],
  },
);
export type LoginBody = Static<typeof LoginBody>;

export const RefreshBody = Type.Union([Type.Null(), strictObject({ refreshToken: Type.Optional(Type.String({ minLength: 1 })) })], {
  description: 'The refresh token; nothing when it comes as a cookie.',
  examples: [{ refreshToken: 'AaH7hJYA…' }],
});
export type RefreshBody = Static<typeof RefreshBody>;

const result = {
  user: User,
  session: strictObject({
    id: Type.String({ format: 'uuid' }),
    expiresAt: Type.String({ format: 'date-time', description: 'When the session ends in any case.' }),
  }),
  tokenType: Type.Literal('Bearer'),
  expiresIn: Type.Integer({ description: 'Seconds for which the access token lives.' }),
};

const BearerResult = strictObject({
  ...result,
  accessToken: Type.String({ description: 'A JWT (RFC 9068), to be sent as `Authorization: Bearer …`.' }),
  refreshToken: Type.String({ description: 'Opaque. Replaced at each refresh; keep the newest.' }),
});
export type BearerResult = Static<typeof BearerResult>;

const CookieResult = strictObject(result);
export type CookieResult = Static<typeof CookieResult>;

export const LoginResult = Type.Union([BearerResult, CookieResult], {
  description: 'A session, and the tokens that stand for it: in the body, or in the cookies that the answer sets.',
});

export const SessionParams = strictObject({ id: Type.String({ format: 'uuid' }) });

const SessionSummary = strictObject({
  id: Type.String({ format: 'uuid' }),
  createdAt: Type.String({ format: 'date-time' }),
  lastUsedAt: Type.String({ format: 'date-time', description: 'When it was opened or last refreshed.' }),
  expiresAt: Type.String({ format: 'date-time' }),
  userAgent: Type.Union([Type.String(), Type.Null()]),
  device: Type.Union([Type.String(), Type.Null()], { description: 'The user agent in words, such as `Firefox on Linux`.' }),
  ip: Type.Union([Type.String(), Type.Null()]),
  current: Type.Boolean({ description: 'Whether it is the session of this request.' }),
});
export type SessionSummary = Static<typeof SessionSummary>;

export const SessionList = strictObject(
  { sessions: Type.Array(SessionSummary) },
  { description: 'The live sessions, the one used last first.' },
);
