import pg from 'pg';
import t, { type Test } from 'tap';
import { inTurn } from '../support/networks.ts';
import { newDetails, register } from '../support/person.ts';
import { noRedis, startRedis, whileCountedThere } from '../support/redis.ts';
import { type Service, startInstance, startService } from '../support/service.ts';
import { allAtOnce, tally } from '../support/two-instances.ts';

async function startTwo(t: Test, env: Readonly<Record<string, string>> = {}) {
  const service = await startService(t, env);
  const other: Service = { ...service, ...(await startInstance(t, service.env, service.clock)) };
  return { service, other, instances: [service, other] as const };
}

/** What is answered to whatever comes at once, on whichever instance. */
async function flood({ service, instances }: Awaited<ReturnType<typeof startTwo>>) {
  const { email, password } = await register(service);
  const guesses = await allAtOnce(60, instances, (instance) => instance.post('/auth/login', { email, password: 'not the password' }));
  const own = await allAtOnce(2, instances, (instance) => instance.post('/auth/login', { email, password }));
  const forgotten = await allAtOnce(220, instances, (instance, index) =>
    instance.post('/auth/password/forgot', { email: `person${index}@example.org` }),
  );
  return [guesses, own, forgotten].map(tally);
}

/** No more than the limit gets through. */
const exactly = [{ 401: 50, 429: 10 }, { 429: 2 }, { 202: 200, 429: 20 }];

t.test('limits are exact under parallel requests over two instances, counted in the database', async (t) => {
  t.same(await flood(await startTwo(t)), exactly);
});

t.test('limits are exact under parallel requests over two instances, counted in Redis', { skip: noRedis }, async (t) => {
  const redis = await startRedis(t);
  const two = await startTwo(t, { REDIS_URL: redis.url });
  const answers = await whileCountedThere([two.service, two.other], async () => {
    await redis.flush();
    return flood(two);
  });
  t.same(answers, exactly);
});

t.test('the mails to one address are counted exactly, by however many accounts they are asked for', async (t) => {
  const { service, instances } = await startTwo(t);
  const newEmail = newDetails().email;
  const people = await Promise.all(Array.from({ length: 16 }, () => register(service)));
  const asked = await allAtOnce(people.length, instances, async (instance, index) => {
    const { email, password } = people[index] as (typeof people)[0];
    const { body } = await instance.post('/auth/login', { email, password });
    return instance.post('/auth/email', { newEmail, password }, { token: body.accessToken });
  });
  t.same(tally(asked), { 202: 5, 429: 11 });
});

t.test('T06 counters in the database that cannot be had are replaced by stricter ones', async (t) => {
  const service = await startService(t);
  const { email } = await register(service);
  const url = service.env['DATABASE_URL'] ?? '';
  // Somebody holds the table, as an operator's statement might.
  const operator = new pg.Client({ connectionString: url });
  await operator.connect();
  t.teardown(() => operator.end());
  await operator.query('begin; lock table rate_limits');
  const answers = await inTurn(16, () => service.post('/auth/login', { email, password: 'not the password' }));
  t.same(tally(answers), { 401: 12, 429: 4 });
});
