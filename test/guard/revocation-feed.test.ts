import { randomUUID } from 'node:crypto';
import { eq } from 'drizzle-orm';
import t from 'tap';
import type { Queryable } from '../../src/db/database.ts';
import { revokedSessions, sessions } from '../../src/db/schema.ts';
import { openRevocationFeed } from '../../src/guard/revocation-feed.ts';
import { eventually } from '../support/eventually.ts';
import { confirmedPerson, logIn } from '../support/person.ts';
import { refused } from '../support/refusal.ts';
import { startService } from '../support/service.ts';
import { openTables } from '../support/tables.ts';

t.test('the feed of ended sessions', async (t) => {
  const service = await startService(t);
  const { clock, log } = service;
  const tables = openTables(t, service);
  const accessTtlSeconds = 300;
  const logger = service.app.log;

  /** The database, as long as it answers. */
  let isDown = false;
  const db = new Proxy(tables, {
    get(target, name) {
      if (isDown) throw new Error('the database does not answer');
      return Reflect.get(target, name);
    },
  }) as Queryable;
  /** The monotonic clock, ahead by as much as a test has moved it. */
  let aheadMs = 0;
  const monotonic = performance.now.bind(performance);
  t.intercept(performance, 'now', { value: () => monotonic() + aheadMs });

  const open = async () => {
    const feed = await openRevocationFeed({ db, clock, accessTtlSeconds, log: logger });
    t.teardown(() => feed.close());
    return feed;
  };
  const revoke = async (secondsAgo = 0, sessionId: string = randomUUID()) => {
    await tables.insert(revokedSessions).values({ sessionId, revokedAt: new Date(clock.now().getTime() - secondsAgo * 1000) });
    return sessionId;
  };

  t.test('knows from the start every session whose access tokens may still live', async (t) => {
    const [recent, old, dead] = [await revoke(), await revoke(accessTtlSeconds - 5), await revoke(3 * accessTtlSeconds)];
    const feed = await open();
    t.ok(feed.isRevoked(recent));
    t.ok(feed.isRevoked(old));
    t.notOk(feed.isRevoked(dead));
    t.notOk(feed.isRevoked(randomUUID()));
  });

  t.test('learns by itself of what others end', async (t) => {
    const feed = await open();
    const ended = randomUUID();
    t.notOk(feed.isRevoked(ended));
    await revoke(0, ended);
    await eventually('the feed has looked', () => feed.isRevoked(ended));
  });

  t.test('knows at once what it is told', async (t) => {
    const feed = await open();
    const ended = randomUUID();
    feed.note([ended]);
    t.ok(feed.isRevoked(ended));
  });

  t.test('forgets a session when every access token of it is dead, and not before', async (t) => {
    const feed = await open();
    const [first, second] = [randomUUID(), randomUUID()];
    feed.note([first]);
    aheadMs += 100_000;
    feed.note([first, second]);
    aheadMs += (accessTtlSeconds - 100) * 1000;
    await feed.poll();
    t.ok(feed.isRevoked(first), 'its last token has just died, by our clock');
    aheadMs += 300_000;
    await feed.poll();
    t.ok(feed.isRevoked(first), 'and now by one that is 5 minutes ahead');
    aheadMs += 20_000;
    await feed.poll();
    t.notOk(feed.isRevoked(first), 'being told again does not keep it');
    t.ok(feed.isRevoked(second));
  });

  t.test('is stale when it has not looked for 3 s, until it looks again', async (t) => {
    const feed = await open();
    t.notOk(feed.isStale());
    isDown = true;
    t.teardown(() => {
      isDown = false;
    });
    await t.rejects(feed.poll(), { message: 'the database does not answer' });
    aheadMs += 3_001;
    t.ok(feed.isStale());
    const complaint = () => log.some((line) => line.includes('ended sessions cannot be looked up'));
    await eventually('it has complained', complaint);
    isDown = false;
    await eventually('it has looked again', () => !feed.isStale());
  });

  t.test('looks back as far as it has not looked', async (t) => {
    const feed = await open();
    const ended = await revoke(60);
    await feed.poll();
    t.notOk(feed.isRevoked(ended), 'what is older than its last look has been seen');
    aheadMs += 60_000;
    await feed.poll();
    t.ok(feed.isRevoked(ended));
  });

  t.test('looks back to its last look by the database, too: a machine that is suspended does not count the time', async (t) => {
    const feed = await open();
    isDown = true;
    t.teardown(() => {
      isDown = false;
    });
    clock.advance({ minutes: 10 });
    const ended = await revoke(60);
    isDown = false;
    await feed.poll();
    t.ok(feed.isRevoked(ended));
  });

  t.test('sees what is ended after the time of the database was set back', async (t) => {
    const feed = await open();
    clock.advance({ hours: -1 });
    const ended = await revoke();
    await feed.poll();
    t.ok(feed.isRevoked(ended));
  });

  t.test('purges the database of what is long dead, and keeps the rest', async (t) => {
    const feed = await open();
    const daySeconds = 86_400;
    const [dead, living] = [await revoke(daySeconds + 330), await revoke(daySeconds)];
    await feed.purge();
    const left = (await tables.select().from(revokedSessions)).map(({ sessionId }) => sessionId);
    t.notOk(left.includes(dead));
    t.ok(left.includes(living));
  });
});

t.test('while the feed is stale, the guard asks the database about every session', async (t) => {
  const service = await startService(t);
  const person = await confirmedPerson(service);
  const [staying, leaving] = [await logIn(service, person), await logIn(service, person)];
  const { db, revocations } = service.app.services;
  t.equal((await service.get('/secret', { token: staying })).status, 200);
  t.equal((await service.get('/secret', { token: leaving })).status, 200);

  // Another instance has ended it, and this one has not heard of it.
  const { body } = await service.get('/auth/sessions', { token: leaving });
  const { id } = body.sessions.find(({ current }: { current: boolean }) => current);
  await db.transaction((tx) => tx.delete(sessions).where(eq(sessions.id, id)));
  t.equal((await service.get('/secret', { token: leaving })).status, 200, 'as long as it believes to be up to date');
  t.intercept(revocations, 'isStale', { value: () => true });
  refused(t, await service.get('/secret', { token: leaving }), 401, 'unauthenticated');
  t.equal((await service.get('/secret', { token: staying })).status, 200);
});
