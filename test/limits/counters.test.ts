import { randomUUID } from 'node:crypto';
import { eq } from 'drizzle-orm';
import t, { type Test } from 'tap';
import { rateLimits } from '../../src/db/schema.ts';
import type { Counters } from '../../src/limits/counters.ts';
import { createLocalCounters } from '../../src/limits/local-counters.ts';
import { createPostgresCounters, purgeCounters } from '../../src/limits/postgres-counters.ts';
import { openRedisCounters } from '../../src/limits/redis-counters.ts';
import { createResilientCounters, localWeight } from '../../src/limits/resilient-counters.ts';
import { ManualClock } from '../support/clock.ts';
import { eventually } from '../support/eventually.ts';
import { freePort } from '../support/process.ts';
import { noRedis, startRedis } from '../support/redis.ts';
import { startService } from '../support/service.ts';

const windowSeconds = 900;
const change = (key: string, by = 1, seconds = windowSeconds) => ({ key, by, windowSeconds: seconds });
const usedOf = async (counters: Counters, ...changes: ReturnType<typeof change>[]) => (await counters.add(changes)).map(({ used }) => used);

/** What all stores have in common. */
async function countsAsAllDo(t: Test, counters: Counters) {
  const [a, b] = [randomUUID(), randomUUID()];
  t.same(await usedOf(counters, change(a), change(b)), [1, 1]);
  t.same(await usedOf(counters, change(b), change(a)), [2, 2], 'in the order in which they were asked for');
  const [counter] = await counters.add([change(a)]);
  t.ok((counter?.resetsInSeconds ?? 0) > windowSeconds - 60 && (counter?.resetsInSeconds ?? 0) <= windowSeconds);
  t.same(await usedOf(counters, change(a, -1)), [2], 'given back');
  const many = await Promise.all(Array.from({ length: 50 }, () => usedOf(counters, change(a))));
  t.same(new Set(many.flat()).size, 50, 'of parallel ones no two see the same number');
  t.equal(Math.max(...many.flat()), 52);
  await counters.add([change(b, -5)]);
  t.same(await usedOf(counters, change(b)), [1], 'there is never less than nothing');
  await counters.add([change(randomUUID(), -1)]);
}

t.test('counters in the database', async (t) => {
  const { app, clock } = await startService(t);
  const { db } = app.services;
  const counters = createPostgresCounters(db, clock);
  await countsAsAllDo(t, counters);
  const away = createPostgresCounters({ insert: () => ({}) } as never, clock);
  await t.rejects(Promise.all([away.add([change('one')]), away.add([change('another')])]), TypeError, 'everybody is told that it is away');
  const key = randomUUID();
  await counters.add([change(key), change(`${key} of a day`, 1, 86_400)]);
  clock.advance({ seconds: windowSeconds + 1 });
  t.same(await usedOf(counters, change(key, -1)), [0], 'what is given back too late does not add to the next window');
  t.same(await usedOf(counters, change(key), change(`${key} of a day`, 1, 86_400)), [1, 2], 'a window is over when its time is');
  const ahead = randomUUID();
  await counters.add([change(ahead)]);
  const inAnHour = new Date(clock.now().getTime() + (windowSeconds + 3600) * 1000);
  await db.update(rateLimits).set({ resetsAt: inAnHour }).where(eq(rateLimits.key, ahead));
  const [putBack] = await counters.add([change(ahead)]);
  t.equal(putBack?.used, 2);
  t.ok((putBack?.resetsInSeconds ?? Infinity) <= windowSeconds, 'a clock that was put back makes no window longer');
  clock.advance({ seconds: windowSeconds + 1 });
  while ((await purgeCounters(db, clock, 2)) > 0);
  const left = await db.select({ key: rateLimits.key }).from(rateLimits);
  t.same(left, [{ key: `${key} of a day` }], 'counters that are over are purged');
});

t.test('counters in the process', async (t) => {
  const clock = new ManualClock();
  const counters = createLocalCounters(clock);
  await countsAsAllDo(t, counters);
  const key = randomUUID();
  await counters.add([change(key)]);
  clock.advance({ seconds: windowSeconds + 1 });
  t.same(await usedOf(counters, change(key)), [1]);
  for (let other = 0; other < 60_000; other += 1) {
    await counters.add([change(`other ${other}`)]);
    if (other % 1000 === 0) await counters.add([change(key)]);
  }
  t.ok(((await usedOf(counters, change(key)))[0] as number) > 60, 'however many there are, one that is used is not forgotten');
  t.same(await usedOf(counters, change('other 0')), [1], 'one that is not used is');
});

t.test('counters in Redis', { skip: noRedis }, async (t) => {
  const redis = await startRedis(t);
  const { app } = await startService(t);
  const [counters, elsewhere] = [openRedisCounters(redis.url, app.log), openRedisCounters(redis.url, app.log)];
  t.teardown(() => Promise.all([counters.close(), elsewhere.close()]));
  const isThere = (which: Counters) => () =>
    which.add([change(randomUUID())]).then(
      () => true,
      () => false,
    );
  await eventually('both are connected', async () => (await isThere(counters)()) && isThere(elsewhere)());
  await countsAsAllDo(t, counters);
  const key = randomUUID();
  const both = await Promise.all(Array.from({ length: 40 }, (_, index) => usedOf(index % 2 ? counters : elsewhere, change(key))));
  t.equal(new Set(both.flat()).size, 40, 'two instances see different numbers');
  await counters.add([change('short', 1, 0.05)]);
  await eventually('a window is over when its time is', async () => (await usedOf(counters, change('short', 1, 0.05)))[0] === 1);
  await redis.follow('127.0.0.1', await freePort());
  const before = await redis.connections();
  let looks = 0;
  await eventually('of one that takes no writes any more, another connection is asked for', async () => {
    await isThere(counters)();
    looks += 1;
    // Each look is a connection of its own.
    return (await redis.connections()) > before + looks;
  });
});

t.test('while the shared counters are away, stricter ones of the process take their place', async (t) => {
  const log: string[] = [];
  const { app, clock } = await startService(t);
  const logger = Object.assign(Object.create(app.log), {
    warn: (_: unknown, line: string) => log.push(line),
    info: (line: string) => log.push(line),
  });
  let asked = 0;
  let behave: Counters['add'] = async () => [];
  const shared: Counters = {
    add: (changes) => {
      asked += 1;
      return behave(changes);
    },
  };
  const counters = createResilientCounters({ shared, patienceMs: 20, clock, log: logger });
  const working: Counters['add'] = async (changes) => changes.map(() => ({ used: 1, resetsInSeconds: 1 }));

  for (const [how, fails] of [
    ['refusing', async () => Promise.reject(new Error('away'))],
    ['silent', () => new Promise<never>(() => {})],
  ] as const) {
    const key = randomUUID();
    behave = working;
    await eventually('they are there', async () => (await usedOf(counters, change(key)))[0] === 1 && log.length % 2 === 0);
    behave = fails;
    t.same(await usedOf(counters, change(key)), [localWeight], `${how}: each use counts ${localWeight} times`);
    const before = asked;
    t.same(await usedOf(counters, change(key)), [2 * localWeight]);
    t.same(await usedOf(counters, change(key, -1)), [localWeight]);
    t.equal(asked, before, 'nobody else waits for them');
    behave = working;
    await eventually('they are asked again', async () => (await usedOf(counters, change(key)))[0] === 1);
  }
  t.match(log, [/are away/, /are back/, /are away/, /are back/], 'each change is logged once');
});
