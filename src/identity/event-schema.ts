import { type Static, Type } from '@sinclair/typebox';
import { eventTypes } from '../db/kinds.ts';
import type { EventRow } from './events.ts';

const nullable = (description: string) => Type.Union([Type.String(), Type.Null()], { description });

/** An event as the owner of the account sees it. */
export const EventSchema = Type.Object(
  {
    id: Type.String({ format: 'uuid' }),
    type: Type.Unsafe<EventRow['type']>({ type: 'string', enum: eventTypes, description: 'What happened. Others may be added.' }),
    at: Type.String({ format: 'date-time' }),
    ip: nullable('Where the request came from; null when there was none, or when it was an administrator’s.'),
    userAgent: nullable('As it was sent.'),
  },
  { additionalProperties: false },
);
export type Event = Static<typeof EventSchema>;

export function presentEvent({ id, type, at, ip, userAgent }: EventRow): Event {
  return { id, type, at: at.toISOString(), ip, userAgent };
}
