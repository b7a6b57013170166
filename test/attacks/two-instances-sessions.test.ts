import t from 'tap';
import { setCookies } from '../support/cookies.ts';
import { onServer } from '../support/database.ts';
import { holdClock } from '../support/held-clock.ts';
import { listening } from '../support/listening.ts';
import { confirmedPerson, openSession } from '../support/person.ts';
import { refused } from '../support/refusal.ts';
import { allAtOnce, startTwoInstances, tally } from '../support/two-instances.ts';

t.test('refreshes on two instances at once', { skip: !onServer && 'needs a PostgreSQL server' }, async (t) => {
  const { service, instances } = await startTwoInstances(t, { RATE_LIMIT: 'off' });
  const [here, there] = [await listening(instances[0]), await listening(instances[1])];
  const person = await confirmedPerson({ ...service, ...here });

  await t.test('F02 20 of them with one token all get the same successor, and the session lives', async (t) => {
    let { accessToken, refreshToken } = await openSession(here, person);
    const first = accessToken;
    for (let round = 0; round < 5; round += 1) {
      const spent = refreshToken;
      const answers = await allAtOnce(20, [here, there], (instance) => instance.post('/auth/refresh', { refreshToken: spent }));
      t.strictSame(tally(answers), { 200: 20 });
      const successors = new Set(answers.map(({ body }) => body.refreshToken));
      t.equal(successors.size, 1);
      t.notOk(successors.has(spent));
      t.equal(new Set(answers.map(({ body }) => body.session.id)).size, 1);
      for (const { body } of answers) {
        for (const instance of [here, there]) t.equal((await instance.get('/secret', { token: body.accessToken })).status, 200);
      }
      ({ accessToken, refreshToken } = answers[round]?.body ?? {});
    }
    t.equal((await there.get('/secret', { token: first })).status, 200, 'the first access token lives out its time');
    t.equal((await there.post('/auth/refresh', { refreshToken })).status, 200, 'the chain goes on');
    const { events } = (await here.get('/auth/events?limit=100', { token: accessToken })).body;
    t.notOk(
      events.some(({ type }: { type: string }) => type === 'refresh_reused'),
      'nobody was taken for a thief',
    );
  });

  await t.test('F02 20 tabs of one browser, with one cookie', async (t) => {
    const headers = { 'sec-fetch-site': 'same-origin' };
    const { email, password } = person;
    const login = await here.post('/auth/login', { email, password, transport: 'cookie' }, { headers });
    const cookie = setCookies(login)
      .map(({ name, value }) => `${name}=${value}`)
      .join('; ');
    const answers = await allAtOnce(20, [here, there], (instance) =>
      instance.post('/auth/refresh', undefined, { headers: { ...headers, cookie } }),
    );
    t.strictSame(tally(answers), { 200: 20 });
    const values = new Set(answers.map((answer) => setCookies(answer).find(({ name }) => name === 'refresh')?.value));
    t.equal(values.size, 1);
  });

  await t.test('F02 a token that was spent before the grace began ends the session, however many come with it', async (t) => {
    const { refreshToken } = await openSession(here, person);
    const { body } = await here.post('/auth/refresh', { refreshToken });
    holdClock(service.clock, new Date(service.clock.now().getTime() + 30_000));
    const answers = await allAtOnce(20, [here, there], (instance) => instance.post('/auth/refresh', { refreshToken }));
    t.strictSame(tally(answers), { 401: 20 });
    refused(t, await there.post('/auth/refresh', { refreshToken: body.refreshToken }), 401, 'invalid_refresh_token');
    const watching = await openSession(here, person);
    const { events } = (await here.get('/auth/events?limit=100', { token: watching.accessToken })).body;
    t.equal(events.filter(({ type }: { type: string }) => type === 'refresh_reused').length, 1, 'it is recorded once');
  });
});
