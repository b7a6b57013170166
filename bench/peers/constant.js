// Fastify with one constant answer: the most that a guard on this framework could reach.
// With the header fields of every answer of the service, it is the most that the service could reach.
// https://fastify.dev/docs/latest/Guides/Getting-Started/#serialize-data
import './production.js';
import fastify from 'fastify';
import { confirmed } from './answers.js';
import { host, port, ready } from './listening.js';

const schema = {
  response: { 200: { type: 'object', properties: { message: { type: 'string' } }, required: ['message'] } },
};

const fields = {
  'cache-control': 'no-store',
  'content-security-policy': "default-src 'none'; frame-ancestors 'none'; base-uri 'none'; form-action 'none'",
  'cross-origin-resource-policy': 'same-origin',
  'referrer-policy': 'no-referrer',
  'x-content-type-options': 'nosniff',
  'x-frame-options': 'DENY',
};

const app = fastify({ logger: false });
app.get('/', { schema }, async () => confirmed);
app.get('/with-headers', { schema }, async (_request, reply) => reply.headers(fields).send(confirmed));
await app.listen({ host, port });

ready(app.server.address().port, async () => {
  app.server.closeAllConnections();
  await app.close();
});
