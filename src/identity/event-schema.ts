import { type Static, Type } from '@sinclair/typebox';
import { eventTypes } from '../db/kinds.ts';
import { maxIpLength } from '../db/schema.ts';
import { nullable, text, time, uuid } from '../schemas.ts';
import { type EventRow, maxUserAgentLength } from './events.ts';

export const ipText = text(maxIpLength);
export const userAgentText = text(maxUserAgentLength);

export const exampleEvent = {
  id: '019a9d3d-1c40-7d5e-8a41-5f0c9b7e2d10',
  type: 'logged_in' as const,
  at: '2026-11-20T18:46:30.000Z',
  ip: '203.0.113.9',
  userAgent: 'Mozilla/5.0 (X11; Linux x86_64; rv:145.0) Gecko/20100101 Firefox/145.0',
};

/** An event as the owner of the account sees it. */
export const EventSchema = Type.Object(
  {
    id: uuid(),
    type: Type.Unsafe<EventRow['type']>({ type: 'string', enum: eventTypes, description: 'What happened. Others may be added.' }),
    at: time(),
    ip: nullable(ipText, 'Where the request came from; null when there was none, or when it was an administrator’s.'),
    userAgent: nullable(userAgentText, 'As it was sent; the beginning of a long one.'),
  },
  { additionalProperties: false, examples: [exampleEvent] },
);
export type Event = Static<typeof EventSchema>;

export function presentEvent({ id, type, at, ip, userAgent }: EventRow): Event {
  return { id, type, at: at.toISOString(), ip, userAgent };
}
