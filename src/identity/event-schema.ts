import { type Static, Type } from '@sinclair/typebox';
import { eventTypes } from '../db/kinds.ts';
import { nullable, text, time, uuid } from '../schemas.ts';
import { type EventRow, maxUserAgentLength } from './events.ts';

/** An address of a network host: the longest is an IPv4 address in IPv6 form (RFC 4291 §2.2). */
export const ipText = text(45);
export const userAgentText = text(maxUserAgentLength);

/** An event as the owner of the account sees it. */
export const EventSchema = Type.Object(
  {
    id: uuid(),
    type: Type.Unsafe<EventRow['type']>({ type: 'string', enum: eventTypes, description: 'What happened. Others may be added.' }),
    at: time(),
    ip: nullable(ipText, 'Where the request came from; null when there was none, or when it was an administrator’s.'),
    userAgent: nullable(userAgentText, 'As it was sent; the beginning of a long one.'),
  },
  { additionalProperties: false },
);
export type Event = Static<typeof EventSchema>;

export function presentEvent({ id, type, at, ip, userAgent }: EventRow): Event {
  return { id, type, at: at.toISOString(), ip, userAgent };
}
