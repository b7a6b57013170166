import t from 'tap';
import { catalogue } from '../../src/problems/catalogue.ts';
import { startService } from '../support/service.ts';

t.test('what problems refer to', async (t) => {
  const service = await startService(t);

  await t.test('every code is described, to everybody, and may be kept', async (t) => {
    for (const [code, { status, title, detail }] of Object.entries(catalogue)) {
      const answer = await service.get(`/problems/${code}`);
      t.equal(answer.status, 200);
      t.match(answer.headers, { 'content-type': /^application\/json/, 'cache-control': 'public, max-age=3600' });
      t.strictSame(answer.body, { code, status, title, description: detail });
    }
  });

  await t.test('a code that there is not is not found, and not repeated', async (t) => {
    for (const code of ['c4n4ry', 'NOT_FOUND', '__proto__', 'constructor', 'toString', '']) {
      const { status, body, text, headers } = await service.get(`/problems/${code}`);
      t.match({ status, ...body }, { status: 404, code: 'not_found' });
      t.equal(headers['cache-control'], 'no-store');
      t.notMatch(text, /c4n4ry|NOT_FOUND|toString|__proto__/);
    }
  });

  await t.test('the type of a problem leads to its description', async (t) => {
    const { body } = await service.get('/auth/me');
    t.match((await service.get(body.type)).body, { code: 'unauthenticated', status: 401 });
  });
});
