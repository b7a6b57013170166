import t from 'tap';
import { eventually } from '../support/eventually.ts';
import { createForeignClient } from '../support/http.ts';
import { confirmationPath, logIn, register } from '../support/person.ts';
import { recordStatements } from '../support/request-statements.ts';
import { startService } from '../support/service.ts';

/** Of a transaction as a whole, its one word. */
const beginning = (statement: string) => /^\w+(?: "\w+")?/.exec(statement)?.[0];

t.test('what is asked most often asks the database little', async (t) => {
  const service = await startService(t, { RATE_LIMIT: 'off' });
  const { mailServer } = service;
  const { exchanges } = recordStatements(service);
  const client = { ...createForeignClient(await service.listen()), mailServer };
  const person = await register(client);
  const path = await confirmationPath(client, person);
  const { body } = await client.post('/auth/login', { email: person.email, password: person.password });

  t.equal((await client.get(path, { token: body.accessToken })).status, 200);
  t.equal((await client.post('/auth/refresh', { refreshToken: body.refreshToken })).status, 200);
  const token = await logIn(client, person);
  for (const each of ['/secret', '/auth/me']) t.equal((await client.get(each, { token })).status, 200);
  const counted = /^(GET|POST) \/(auth\/confirm\/|auth\/refresh|auth\/me|secret)/;
  await eventually('all have been noticed', () => exchanges.some(({ url }) => url === '/auth/me'));

  const asked = exchanges
    .map(({ method, url, statements }) => [`${method} ${url}`, ...statements.map(beginning)])
    .filter(([what = '']) => counted.test(what));
  t.strictSame(asked, [
    [`GET ${path}`, 'select "id"', 'select "sessions"', 'with "confirmed"'],
    ['POST /auth/refresh', 'update "sessions"'],
    ['GET /secret'],
    ['GET /auth/me', 'select "id"'],
  ]);
});
