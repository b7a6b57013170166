import t from 'tap';
import { confirmedPerson, openSession } from '../support/person.ts';
import { refused } from '../support/refusal.ts';
import { startInstance, startService } from '../support/service.ts';

const day = '86400';

t.test('F05 a session that was ended stays so when ACCESS_TOKEN_TTL_SECONDS is lowered, and when it is raised again', async (t) => {
  const service = await startService(t, { ACCESS_TOKEN_TTL_SECONDS: day });
  const { clock, env } = service;
  const person = await confirmedPerson(service);
  const [living, ended] = [await openSession(service, person), await openSession(service, person)];
  t.equal((await service.post('/auth/logout', undefined, { token: ended.accessToken })).status, 204);
  clock.advance({ hours: 1 });
  t.equal((await service.get('/secret', { token: living.accessToken })).status, 200);
  await service.app.close();

  const shorter = await startInstance(t, { ...env, ACCESS_TOKEN_TTL_SECONDS: '300' }, clock);
  refused(t, await shorter.get('/secret', { token: ended.accessToken }), 401, 'unauthenticated');
  refused(t, await shorter.get('/secret', { token: living.accessToken }), 401, 'unauthenticated', 'which has to be refreshed');
  const refreshed = await shorter.post('/auth/refresh', { refreshToken: living.refreshToken });
  t.match(refreshed, { status: 200, body: { expiresIn: 300 } });
  t.equal((await shorter.get('/secret', { token: refreshed.body.accessToken })).status, 200);
  await shorter.app.services.revocations.purge();
  await shorter.app.close();

  const longer = await startInstance(t, env, clock);
  refused(t, await longer.get('/secret', { token: ended.accessToken }), 401, 'unauthenticated');
  t.equal((await longer.get('/secret', { token: living.accessToken })).status, 200);
});
