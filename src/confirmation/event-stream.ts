import { PassThrough } from 'node:stream';
import type { FastifyPluginAsyncTypebox } from '@fastify/type-provider-typebox';
import { Type } from '@sinclair/typebox';
import { requireSession } from '../guard/plugin.ts';
import { createPlaces } from '../limits/places.ts';
import type { Services } from '../services.ts';
import { createConfirmationFeed } from './confirmation-feed.ts';

/**
 * Tabs that wait at an instance. Nobody has more open than five of an account; a network has as many as there may be
 * registrations in it within an hour.
 */
const places = { ofAccount: 5, ofNetwork: 200, ofAll: 2000 };
/** Longer, and a client that has gone without a word would be kept; one that still waits comes back by itself. */
const longestMs = 5 * 60 * 1000;
/** So that no proxy takes the silence for a dead connection. */
const heartbeatMs = 15_000;

/** The tab that waits: it is told as soon as the link has been followed, wherever that was. */
export const confirmationEvents: FastifyPluginAsyncTypebox<Pick<Services, 'config' | 'db' | 'revocations'>> = async (app, services) => {
  const feed = createConfirmationFeed(services, app.log);
  const waiting = createPlaces({ ...places, isOn: services.config.rateLimit, retryAfterSeconds: longestMs / 1000 });
  // Before the server is closed, which would wait for the streams.
  app.addHook('preClose', feed.close);

  app.route({
    method: 'GET',
    url: '/auth/confirm/events',
    config: { access: 'session', problems: ['rate_limited'] },
    schema: {
      operationId: 'awaitConfirmation',
      tags: ['Confirmation'],
      summary: 'Wait for the confirmation',
      description:
        'Server-sent events: one `confirmed` within a second of the address being confirmed, at once if it is. Ends by itself after it, when the session is over, and after five minutes; whoever still waits connects again.',
      response: {
        200: Type.Unsafe<never>({
          description: 'A stream of events.',
          content: { 'text/event-stream': { schema: { type: 'string', maxLength: 10_000, examples: ['event: confirmed\ndata: {}\n\n'] } } },
        }),
      },
    },
    handler(request, reply) {
      const { id: sessionId, userId } = requireSession(request);
      const leave = waiting.take({ userId, ip: request.ip });
      const stream = new PassThrough();
      stream.write('retry: 2000\n\n');
      const stop = feed.wait({
        userId,
        sessionId,
        done(outcome) {
          leave();
          for (const timer of timers) clearInterval(timer);
          stream.end(outcome === 'confirmed' ? 'event: confirmed\ndata: {}\n\n' : undefined);
        },
      });
      const timers = [setInterval(() => stream.write(': waiting\n\n'), heartbeatMs), setTimeout(stop, longestMs)];
      for (const timer of timers) timer.unref();
      stream.once('close', stop);
      return reply
        .headers({ 'content-type': 'text/event-stream; charset=utf-8', 'x-accel-buffering': 'no' })
        .serializer(String)
        .send(stream as never);
    },
  });
};
