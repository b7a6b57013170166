import { type Static, Type } from '@sinclair/typebox';
import { strictObject } from '../http/schemas.ts';
import { User } from '../identity/user-schema.ts';

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
