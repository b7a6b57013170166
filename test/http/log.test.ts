import t from 'tap';
import { logError } from '../../src/http/log-error.ts';
import { confirmationPath, confirmationToken, logIn, register } from '../support/person.ts';
import { startService } from '../support/service.ts';
import { spoilQueries } from '../support/spoiled-queries.ts';
import { exchange } from '../support/wire.ts';

t.test('each request has its line down to the level of such lines, and what went wrong its id at every level', async (t) => {
  for (const level of ['trace', 'debug', 'info', 'warn', 'error']) {
    const service = await startService(t, { LOG_LEVEL: level });
    const lines = () => service.log.map((line) => JSON.parse(line) as Record<string, unknown>);
    await service.get('/health/live');
    t.equal(lines().filter(({ msg }) => msg === 'request').length, ['warn', 'error'].includes(level) ? 0 : 1, level);
    const mend = spoilQueries(service.app.services.db, () => {
      throw new Error('it is broken');
    });
    const { status, headers } = await service.post('/auth/login', { email: 'ada@example.com', password: 'correct horse battery staple' });
    mend();
    t.equal(status, 500);
    const told = lines().find((line) => line['level'] === 50 && line['reqId'] === headers['x-request-id']);
    t.match(told, { err: { message: 'it is broken', stack: String } }, level);
  }
});

t.test('the log of a service, at its most talkative', async (t) => {
  const service = await startService(t, { LOG_LEVEL: 'trace' });
  const base = await service.listen();
  const lines = () => service.log.map((line) => JSON.parse(line) as Record<string, unknown>);

  await t.test('a request is one line that names the route, the answer and the problem, but not the address', async (t) => {
    const before = service.log.length;
    await service.get('/auth/confirm/a-token-that-is-none?and=more');
    const [line, ...others] = lines().slice(before);
    t.same(others, []);
    t.match(line, { method: 'GET', route: '/auth/confirm/:token', status: 400, code: 'invalid_token', ms: Number, reqId: String });
    await service.get('/nowhere/at/all');
    t.match(lines().at(-1), { route: null, status: 404, code: 'not_found' });
  });

  await t.test('a problem is found again by the id that its answer carries', async (t) => {
    const { headers } = await service.get('/nowhere', { headers: { 'x-request-id': 'chosen-by-the-client', 'request-id': 'too' } });
    t.equal(lines().at(-1)?.['reqId'], headers['x-request-id']);
    t.match(headers['x-request-id'], /^[0-9a-f-]{36}$/);
  });

  await t.test('nothing that a client sends or receives is in it', async (t) => {
    const person = await register(service);
    const other = await register(service);
    const accessToken = await logIn(service, person);
    const login = await service.post('/auth/login', { username: person.username, password: person.password });
    const { refreshToken } = login.body;
    const path = await confirmationPath(service, person);
    const canary = 'c4n4ry-of-the-log';

    const { email, username, password } = person;
    const details = { email, username, password };
    await service.post('/auth/register', details);
    await service.post('/auth/register', { ...details, password: canary, username: `${canary}!` });
    await service.post('/auth/register', { email: person.email, username: other.username, password: canary, [canary]: canary });
    await service.post('/auth/login', { email: person.email, password: canary });
    await service.post('/auth/login', { email: `${canary}@example.com`, password: canary });
    await service.post('/auth/refresh', { refreshToken: `${refreshToken.slice(0, -2)}AA` });
    await service.post('/auth/refresh', { refreshToken });
    await service.get(path);
    await service.get(path, { token: await logIn(service, other) });
    await service.get(path, { token: accessToken });
    await service.post('/auth/confirm', { token: await confirmationToken(service, person), password: person.password });
    await service.get(`/auth/me?access_token=${accessToken}&email=${person.email}`, { headers: { cookie: `access=${accessToken}` } });
    await service.get('/auth/me', {
      token: `${accessToken.slice(0, -6)}AAAAAA`,
      headers: { 'user-agent': canary, referer: `https://${canary}/` },
    });
    await service.app.inject({
      method: 'POST',
      url: '/auth/login',
      payload: `{"email":"${canary}`,
      headers: { 'content-type': 'application/json' },
    });
    await exchange(base, `GET /${canary} HTTP/1.1\r\nHost: ${canary}\r\nConnection: close\r\n\r\n`);
    await exchange(base, `GET /%zz${canary} HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n`);
    await exchange(base, `${canary} \r\nAuthorization: Bearer ${accessToken}\r\n\r\n`);
    await exchange(base, `GET / HTTP/1.1\r\nX: ${canary.repeat(2000)}\r\n\r\n`);

    const secrets = {
      address: person.email,
      'other address': other.email,
      password: person.password,
      'access token': accessToken.split('.')[2],
      claims: accessToken.split('.')[1],
      'refresh token': refreshToken,
      'mailed token': path.split('.')[2],
      canary,
    };
    const log = service.log.join('');
    t.ok(
      lines().some(({ route, status }) => route === '/auth/register' && status === 409),
      'all of it was logged',
    );
    for (const [what, secret] of Object.entries(secrets)) t.notOk(log.includes(String(secret)), `no ${what}`);
  });
});

t.test('of an error the log shows its kind, message, code and stack, and nothing that hangs on it', async (t) => {
  const error = Object.assign(new TypeError('went wrong'), {
    code: 'E_WRONG',
    detail: 'Key (email)=(ada@example.com)',
    parameters: ['ada'],
    errno: 7,
  });
  const { stack, ...shown } = logError(error);
  t.strictSame(shown, { type: 'TypeError', message: 'went wrong', code: 'E_WRONG' });
  t.equal(stack, error.stack);
  t.notOk('code' in logError(Object.assign(new Error('x'), { code: 7 })));
});

t.test('of a failed query the log shows the cause, never the statement and its parameters', async (t) => {
  class DrizzleQueryError extends Error {}
  const query = 'Failed query: insert into users params: ada@example.com';
  const cause = new Error('connection refused');
  t.match(logError(new DrizzleQueryError(query, { cause })), { message: 'connection refused' });
  t.notMatch(JSON.stringify(logError(new DrizzleQueryError(query, { cause }))), /ada@/);
  t.notMatch(JSON.stringify(logError(new DrizzleQueryError(query))), /ada@/);
});

t.test('what was thrown without being an error is shown as text', async (t) => {
  t.strictSame(logError('a word'), { type: 'string', message: 'a word', stack: '' });
  t.strictSame(logError(undefined), { type: 'undefined', message: 'undefined', stack: '' });
});
