import t from 'tap';
import { administratorOf, waysToShutOut } from '../support/administrator.ts';
import { onServer } from '../support/database.ts';
import { eventually } from '../support/eventually.ts';
import { startTwoHttpInstances } from '../support/http.ts';
import { confirmedPerson, openSession } from '../support/person.ts';
import { refused } from '../support/refusal.ts';
import { allAtOnce, tally } from '../support/two-instances.ts';

t.test('who is shut out on one of two instances', { skip: !onServer && 'needs a PostgreSQL server' }, async (t) => {
  const { service, instances } = await startTwoHttpInstances(t, { RATE_LIMIT: 'off' });
  const [here, there] = instances;
  const bystander = await openSession(service, await confirmedPerson(service));
  const ways = waysToShutOut(service, await administratorOf(service));

  for (const [what, shutOut] of Object.entries(ways)) {
    t.test(`L11 a user who is ${what} on one instance is out there at once, and soon on the other`, async (t) => {
      const person = await confirmedPerson(service);
      const { email, password } = person;
      const { accessToken: token, refreshToken } = await openSession(service, person);
      for (const instance of instances) t.equal((await instance.get('/secret', { token })).status, 200, 'until then');
      t.match((await shutOut(person, token)).status, /^20[04]$/);
      refused(t, await here.get('/secret', { token }), 401, 'unauthenticated', 'at once where it was done');
      for (const instance of instances) {
        refused(t, await instance.post('/auth/refresh', { refreshToken }), 401, 'invalid_refresh_token', 'at once on both');
        refused(t, await instance.post('/auth/login', { email, password }), 401, 'invalid_credentials', 'at once on both');
      }
      // The contract gives it a second; a machine with other things to do may be late, but not forgetful.
      await eventually('the other knows it, too', async () => (await there.get('/secret', { token })).status === 401);
      refused(t, await there.get('/auth/verify', { token }), 401, 'unauthenticated');
      t.equal((await there.get('/secret', { token: bystander.accessToken })).status, 200, 'nobody else is out');
    });

    t.test(`L11 a user who is ${what} while they log in and refresh has nothing that lives`, async (t) => {
      const person = await confirmedPerson(service);
      const { email, password } = person;
      const { accessToken, refreshToken } = await openSession(service, person);
      const [ending, ...answers] = await allAtOnce(21, instances, (instance, index) => {
        if (index === 0) return shutOut(person, accessToken) as ReturnType<typeof instance.get>;
        return index % 4 < 2 ? instance.post('/auth/login', { email, password }) : instance.post('/auth/refresh', { refreshToken });
      });
      t.match(ending?.status, /^20[04]$/);
      const counts = tally(answers);
      t.equal((counts[200] ?? 0) + (counts[401] ?? 0), 20, `nothing else comes: ${JSON.stringify(counts)}`);
      for (const { body } of answers.filter(({ status }) => status === 200)) {
        refused(t, await here.post('/auth/refresh', { refreshToken: body.refreshToken }), 401, 'invalid_refresh_token');
        for (const instance of instances) {
          const isOut = async () => (await instance.get('/secret', { token: body.accessToken })).status === 401;
          await eventually('what was opened is over', isOut);
        }
      }
    });
  }
});
