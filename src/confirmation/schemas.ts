import { type Static, Type } from '@sinclair/typebox';
import { strictObject } from '../http/schemas.ts';
import { User } from '../identity/user-schema.ts';

/** Far longer than any token of ours, and short enough to be looked at for nothing. */
const maxTokenLength = 2048;
const token = Type.String({ minLength: 1, maxLength: maxTokenLength, description: 'The token of the mailed link.' });

export const ConfirmationParams = strictObject({ token: Type.String({ description: 'The token of the mailed link.' }) });

export const ConfirmationBody = strictObject({
  token,
  password: Type.Optional(
    Type.String({ minLength: 1, description: "The account's password, which stands in for its session: for another device." }),
  ),
});
export type ConfirmationBody = Static<typeof ConfirmationBody>;

export const ConfirmationResult = strictObject(
  { user: User, status: Type.Union([Type.Literal('confirmed'), Type.Literal('already_confirmed')]) },
  { description: 'The address is confirmed.' },
);
export type ConfirmationResult = Static<typeof ConfirmationResult>;

export const ResendResult = strictObject(
  { retryAfter: Type.Integer({ description: 'Seconds until another mail may be asked for.' }) },
  { description: 'Another mail is on its way.' },
);

export const UnconfirmedState = strictObject(
  {
    email: Type.String({ format: 'email' }),
    mail: strictObject({
      status: Type.Union([Type.Literal('queued'), Type.Literal('sent'), Type.Literal('failed')]),
      at: Type.String({ format: 'date-time', description: 'Since when it is so.' }),
    }),
    resendAvailableAt: Type.String({ format: 'date-time', description: 'From when on another mail may be asked for.' }),
  },
  { description: 'What an unconfirmed user waits for.' },
);
export type UnconfirmedState = Static<typeof UnconfirmedState>;
