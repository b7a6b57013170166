import { type Static, Type } from '@sinclair/typebox';
import { emailText } from '../identity/member-schemas.ts';
import { exampleUser, User } from '../identity/user-schema.ts';
import { seconds, strictObject, time } from '../schemas.ts';

export const ConfirmationResult = strictObject(
  { user: User, status: Type.Union([Type.Literal('confirmed'), Type.Literal('already_confirmed')]) },
  { description: 'The address is confirmed.', examples: [{ user: exampleUser, status: 'confirmed' }] },
);
export type ConfirmationResult = Static<typeof ConfirmationResult>;

export const ResendResult = strictObject(
  { retryAfter: seconds('Seconds until another mail may be asked for.') },
  { description: 'Another mail is on its way.', examples: [{ retryAfter: 60 }] },
);

export const UnconfirmedState = strictObject(
  {
    email: emailText(),
    mail: strictObject({
      status: Type.Union([Type.Literal('queued'), Type.Literal('sent'), Type.Literal('failed')]),
      at: time('Since when it is so.'),
    }),
    resendAvailableAt: time('From when on another mail may be asked for.'),
  },
  {
    description: 'What an unconfirmed user waits for.',
    examples: [
      {
        email: 'ada@example.com',
        mail: { status: 'sent', at: '2026-11-20T18:45:00.412Z' },
        resendAvailableAt: '2026-11-20T18:46:00.000Z',
      },
    ],
  },
);
export type UnconfirmedState = Static<typeof UnconfirmedState>;
