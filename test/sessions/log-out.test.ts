import t from 'tap';
import { register } from '../support/person.ts';
import { refused } from '../support/refusal.ts';
import { startService } from '../support/service.ts';

t.test('logout', async (t) => {
  const service = await startService(t);
  const { email, password } = await register(service);
  const open = async () => (await service.post('/auth/login', { email, password })).body;

  t.test('F05: a session is over at once, with all its tokens, and no other session is', async (t) => {
    const [ended, other] = [await open(), await open()];
    const renewed = (await service.post('/auth/refresh', { refreshToken: ended.refreshToken })).body;
    const answer = await service.post('/auth/logout', undefined, { token: renewed.accessToken });
    t.equal(answer.status, 204);
    t.equal(answer.text, '');
    t.equal(answer.headers['cache-control'], 'no-store');
    for (const { accessToken, refreshToken } of [ended, renewed]) {
      const replayed = await service.get('/auth/me', { token: accessToken });
      refused(t, replayed, 401, 'unauthenticated');
      t.equal(replayed.headers['www-authenticate'], 'Bearer error="invalid_token"');
      refused(t, await service.post('/auth/refresh', { refreshToken }), 401, 'invalid_refresh_token');
      refused(t, await service.post('/auth/logout', undefined, { token: accessToken }), 401, 'unauthenticated', 'a second logout');
    }
    t.equal((await service.get('/auth/me', { token: other.accessToken })).status, 200);
    t.equal((await service.post('/auth/refresh', { refreshToken: other.refreshToken })).status, 200);
  });

  t.test('a logout without a session is refused', async (t) => {
    const answer = await service.post('/auth/logout');
    refused(t, answer, 401, 'unauthenticated');
    t.equal(answer.headers['www-authenticate'], 'Bearer');
  });

  t.test('a logout takes an empty body, and none that says anything', async (t) => {
    const [first, second] = [await open(), await open()];
    t.equal((await service.post('/auth/logout', {}, { token: first.accessToken })).status, 204);
    refused(t, await service.post('/auth/logout', { all: true }, { token: second.accessToken }), 400, 'validation_failed');
    t.equal((await service.get('/auth/me', { token: second.accessToken })).status, 200, 'nothing has ended');
  });
});
