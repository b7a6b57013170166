import { fastify } from 'fastify';
import t from 'tap';
import { deferredCompilers } from '../../src/http/compilers.ts';

t.test('a schema is compiled when a request first needs it, and then says what it always would', async (t) => {
  const seen: string[] = [];
  const app = fastify({
    schemaController: { compilersFactory: deferredCompilers() },
    ajv: { customOptions: { allErrors: true }, onCreate: () => void seen.push('validators') },
  });
  t.teardown(() => app.close());
  const body = { type: 'object', required: ['name'], properties: { name: { type: 'string', maxLength: 3 } }, additionalProperties: false };
  const response = { 200: { type: 'object', properties: { name: { type: 'string' } } } };
  app.post('/', { schema: { body, response } }, async (request) => ({ ...(request.body as object), secret: 'c4n4ry' }));
  app.post('/broken', { schema: { body: { $ref: 'nowhere#' } } }, async () => 'never');
  app.get('/unreadable', { schema: { response: { 200: { $ref: 'nowhere#' } } } }, async () => ({}));
  await app.ready();
  t.same(seen, [], 'not one by the start');

  const post = (payload: object, url = '/') => app.inject({ method: 'POST', url, payload });
  for (const _ of ['first', 'again']) {
    t.same((await post({ name: 'ada' })).json(), { name: 'ada' }, 'members that are not named do not get out');
    const refused = await post({ name: 'augusta' });
    t.equal(refused.statusCode, 400);
    t.match(refused.json(), { code: 'FST_ERR_VALIDATION', message: 'body/name must NOT have more than 3 characters' });
    t.equal((await post({})).statusCode, 400);
  }
  t.equal((await post({ name: 'ada' }, '/broken')).statusCode, 500, 'one that cannot be compiled lets nothing in');
  t.equal((await app.inject('/unreadable')).statusCode, 500, 'and nothing out');
  t.same(seen, ['validators'], 'the validators are made once');
});
