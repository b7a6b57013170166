import t from 'tap';
import { inTurn } from '../support/networks.ts';
import { confirmedPerson, register } from '../support/person.ts';
import { noRedis, startRedis, untilCountedThere, whileCountedThere } from '../support/redis.ts';
import { type Service, startService } from '../support/service.ts';
import { tally } from '../support/two-instances.ts';

const guess = (service: Service, email: string) => service.post('/auth/login', { email, password: 'not the password' });

t.test('T06 without Redis, guesses are limited all the same, and more strictly', { skip: noRedis }, async (t) => {
  const redis = await startRedis(t);
  const service = await startService(t, { REDIS_URL: redis.url });
  await untilCountedThere(service);
  const person = await confirmedPerson(service);
  const victim = await register(service);
  t.same(tally(await inTurn(5, () => guess(service, victim.email))), { 401: 5 });

  for (const [how, goAway, comeBack] of [
    ['dead', () => redis.kill(), () => redis.start()],
    ['silent', async () => redis.hold(), async () => redis.goOn()],
  ] as const) {
    const other = await register(service);
    await goAway();
    t.same(tally(await inTurn(16, () => guess(service, other.email))), { 401: 12, 429: 4 }, `${how}: a quarter of fifty`);
    t.equal((await service.get('/secret', { token: person.token })).status, 200, 'sessions are not concerned');
    t.equal((await service.post('/auth/login', { email: person.email, password: person.password })).status, 200);
    await comeBack();
    await untilCountedThere(service);
  }
});

t.test('T06 a store that has forgotten everything begins anew, and counts on', { skip: noRedis }, async (t) => {
  const redis = await startRedis(t);
  const service = await startService(t, { REDIS_URL: redis.url });
  const answers = await whileCountedThere([service], async () => {
    const { email } = await register(service);
    const guesses = async () => tally(await inTurn(52, () => guess(service, email)));
    await redis.flush();
    const before = await guesses();
    await redis.flush();
    return [before, await guesses()];
  });
  t.same(answers, [
    { 401: 50, 429: 2 },
    { 401: 50, 429: 2 },
  ]);
});

t.test('T06 a service starts without Redis, and finds it later', { skip: noRedis }, async (t) => {
  const redis = await startRedis(t);
  await redis.kill();
  const service = await startService(t, { REDIS_URL: redis.url });
  const { email } = await register(service);
  t.same(tally(await inTurn(14, () => guess(service, email))), { 401: 12, 429: 2 });
  await redis.start();
  await untilCountedThere(service);
});
