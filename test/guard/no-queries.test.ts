import { AsyncLocalStorage } from 'node:async_hooks';
import { eq } from 'drizzle-orm';
import t from 'tap';
import { revokedSessions, sessions } from '../../src/db/schema.ts';
import { openRevocationFeed } from '../../src/guard/revocation-feed.ts';
import { eventually } from '../support/eventually.ts';
import { confirmedPerson, logIn, register } from '../support/person.ts';
import { refused } from '../support/refusal.ts';
import { startService } from '../support/service.ts';

type Query = (...args: unknown[]) => Promise<unknown>;

t.test('what the guard asks the database', async (t) => {
  const service = await startService(t);
  const { clock, db, feedDb, revocations } = service.app.services;
  const confirmed = await confirmedPerson(service);
  const unconfirmed = await register(service);
  const tokens = { confirmed: await logIn(service, confirmed), unconfirmed: await logIn(service, unconfirmed) };

  // Under the library, where every statement passes; those of the background work belong to no request.
  const statements = new AsyncLocalStorage<unknown[]>();
  type Driver = Record<'query' | 'connect' | 'transaction', Query | undefined>;
  const clients = new Set([db, feedDb].map((each) => (each as unknown as { $client: Driver }).$client));
  let broken = false;
  // Whatever a pool is asked for, it asks itself for a connection; the embedded engine has none.
  for (const client of clients) {
    for (const name of client.connect ? (['connect'] as const) : (['query', 'transaction'] as const)) {
      const original = client[name]?.bind(client) as Query;
      client[name] = (...args) => {
        statements.getStore()?.push(args[0]);
        if (!broken) return original(...args);
        const failure = new Error('the database is away');
        const callback = args.at(-1);
        if (typeof callback !== 'function' || name === 'transaction') return Promise.reject(failure);
        callback(failure);
        return Promise.resolve();
      };
    }
  }
  /** How many statements a request brings about, and its answer. */
  async function visit(url: string, token: string) {
    const asked: unknown[] = [];
    const answer = await statements.run(asked, () => service.get(url, { token }));
    return { answer, status: answer.status, count: asked.length };
  }

  t.test('nothing about a confirmed user, whose token was never seen before or often', async (t) => {
    const fresh = await logIn(service, confirmed);
    for (const token of [fresh, fresh, tokens.confirmed]) t.match(await visit('/secret', token), { status: 200, count: 0 });
  });

  t.test('one thing about an unconfirmed one', async (t) => {
    t.match(await visit('/secret', tokens.unconfirmed), { status: 403, count: 1 });
    const { answer } = await visit('/secret', tokens.unconfirmed);
    refused(t, answer, 403, 'unconfirmed');
  });

  t.test('nothing about a session that is known to have ended, either', async (t) => {
    const token = await logIn(service, confirmed);
    t.match(await visit('/secret', token), { status: 200, count: 0 });
    t.equal((await service.post('/auth/logout', undefined, { token })).status, 204);
    const { answer, count } = await visit('/secret', token);
    refused(t, answer, 401, 'unauthenticated');
    t.equal(count, 0);
  });

  /** Moves the clock that durations are measured by; the service's own time stays. */
  const actual = performance.now.bind(performance);
  let aheadMs = 0;
  t.intercept(performance, 'now', { value: () => actual() + aheadMs });

  t.test('about everybody, once nobody could be asked about ended sessions for 3 s', async (t) => {
    await revocations.poll();
    broken = true;
    aheadMs += 1000;
    t.equal(revocations.isStale(), false);
    t.match(await visit('/secret', tokens.confirmed), { status: 200, count: 0 });
    aheadMs += 2001;
    t.equal(revocations.isStale(), true);
    await t.rejects(revocations.poll());
    t.equal((await service.get('/secret', { token: tokens.confirmed })).status >= 500, true, 'nobody is believed unasked');
    await eventually('it is logged', () => service.log.some((line) => line.includes('ended sessions cannot be looked up')));
    broken = false;
    aheadMs += 3001;
    t.match(await visit('/secret', tokens.confirmed), { status: 200, count: 1 });
    const ended = await logIn(service, confirmed);
    await db.delete(sessions).where(eq(sessions.id, claimsOf(ended).sid));
    aheadMs += 3001;
    const staleNow = await visit('/secret', ended);
    await revocations.poll();
    t.equal(revocations.isStale(), false);
    t.match(await visit('/secret', tokens.confirmed), { status: 200, count: 0 }, 'and believed again once the feed is back');
    refused(t, staleNow.answer, 401, 'unauthenticated', 'a session that is not there');
  });

  t.test('a feed learns of what was ended elsewhere, and forgets it when no token of it can live', async (t) => {
    const feed = await openRevocationFeed({ db, clock, accessTtlSeconds: 300, log: service.app.log });
    t.teardown(() => feed.close());
    const token = await logIn(service, confirmed);
    const { sid } = claimsOf(token);
    t.equal(feed.isRevoked(sid), false);
    t.equal((await service.post('/auth/logout', undefined, { token })).status, 204);
    await feed.poll();
    t.equal(feed.isRevoked(sid), true);
    const late = await openRevocationFeed({ db, clock, accessTtlSeconds: 300, log: service.app.log });
    t.teardown(() => late.close());
    t.equal(late.isRevoked(sid), true, 'one that is opened later knows it, too');

    await db.delete(revokedSessions).where(eq(revokedSessions.sessionId, sid));
    aheadMs += 300_000;
    await feed.poll();
    t.equal(feed.isRevoked(sid), true, 'a token may still live');
    aheadMs += 300_000 + 16_000; // by a clock that is 5 minutes ahead, too
    await feed.poll();
    t.equal(feed.isRevoked(sid), false);
  });
});

function claimsOf(token: string): { sid: string } {
  return JSON.parse(Buffer.from(token.split('.')[1] ?? '', 'base64url').toString());
}
