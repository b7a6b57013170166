import t from 'tap';
import { onServer } from '../support/database.ts';
import { eventually } from '../support/eventually.ts';
import { confirmedPerson } from '../support/person.ts';
import { refused } from '../support/refusal.ts';
import { allAtOnce, startTwoInstances, tally } from '../support/two-instances.ts';

t.test('sessions on two instances', { skip: !onServer && 'needs a PostgreSQL server' }, async (t) => {
  const { service, instances } = await startTwoInstances(t);
  const [here, there] = instances;
  const { email, password } = await confirmedPerson(service);
  const open = async () => (await here.post('/auth/login', { email, password })).body;

  t.test('F02: 20 refreshes with one token all get the same successor, and the session lives', async (t) => {
    const login = await open();
    const answers = await allAtOnce(20, instances, (instance) => instance.post('/auth/refresh', { refreshToken: login.refreshToken }));
    t.strictSame(tally(answers), { 200: 20 });
    const successors = new Set(answers.map(({ body }) => body.refreshToken));
    t.equal(successors.size, 1);
    t.notOk(successors.has(login.refreshToken));
    for (const { body } of answers) t.equal((await there.get('/secret', { token: body.accessToken })).status, 200);
    for (const refreshToken of successors) t.equal((await there.post('/auth/refresh', { refreshToken })).status, 200, 'the chain goes on');
  });

  t.test('a session that is ended on one instance is over on the other before long', async (t) => {
    const { accessToken: token, refreshToken } = await open();
    t.equal((await there.get('/secret', { token })).status, 200);
    t.equal((await here.post('/auth/logout', undefined, { token })).status, 204);
    refused(t, await here.get('/secret', { token }), 401, 'unauthenticated', 'at once where it was ended');
    await eventually('it is over there', async () => (await there.get('/secret', { token })).status === 401);
    refused(t, await there.post('/auth/refresh', { refreshToken }), 401, 'invalid_refresh_token');
  });

  t.test('a logout that races with refreshes leaves nothing alive', async (t) => {
    const { accessToken: token, refreshToken } = await open();
    const [logout, ...refreshes] = await allAtOnce(11, instances, (instance, index) =>
      index === 0 ? instance.post('/auth/logout', undefined, { token }) : instance.post('/auth/refresh', { refreshToken }),
    );
    t.equal(logout?.status, 204);
    for (const { status, body } of refreshes) {
      t.ok(status === 200 || status === 401, `a refresh answered ${status}`);
      if (status === 200) refused(t, await here.get('/secret', { token: body.accessToken }), 401, 'unauthenticated');
      if (status === 200) refused(t, await there.post('/auth/refresh', { refreshToken: body.refreshToken }), 401, 'invalid_refresh_token');
    }
  });
});
