// Fastify with one constant answer: the most that a guard on this framework could reach.
// https://fastify.dev/docs/latest/Guides/Getting-Started/#serialize-data
import './production.js';
import fastify from 'fastify';
import { confirmed } from './answers.js';
import { host, port, ready } from './listening.js';

const schema = {
  response: { 200: { type: 'object', properties: { message: { type: 'string' } }, required: ['message'] } },
};

const app = fastify({ logger: false });
app.get('/', { schema }, async () => confirmed);
await app.listen({ host, port });

ready(app.server.address().port, async () => {
  app.server.closeAllConnections();
  await app.close();
});
