import { randomUUID } from 'node:crypto';
import t from 'tap';
import { v7 as timeOrderedUuid } from 'uuid';
import { events } from '../../src/db/schema.ts';
import { outboxEmpty } from '../support/held-clock.ts';
import { confirmedPerson, logIn, register } from '../support/person.ts';
import { refused } from '../support/refusal.ts';
import { startService } from '../support/service.ts';
import { openTables } from '../support/tables.ts';

interface Listed {
  readonly id: string;
  readonly type: string;
  readonly at: string;
}

t.test('the events of an account', async (t) => {
  const service = await startService(t);
  const tables = openTables(t, service);
  const list = (token: string, query = '') => service.get(`/auth/events${query}`, { token });
  const newcomer = async () => {
    const person = await register(service);
    return { ...person, token: await logIn(service, person) };
  };
  /** So many, a second apart, the first of them the oldest. */
  async function happened(userId: string, count: number, since: number): Promise<string[]> {
    const rows = Array.from({ length: count }, (_, index) => {
      const at = new Date(since + index * 1000);
      return { id: timeOrderedUuid({ msecs: at.getTime() }), userId, type: 'logged_in' as const, at };
    });
    await tables.insert(events).values(rows);
    return rows.map(({ id }) => id);
  }
  const past = () => service.clock.now().getTime() - 3600_000;

  t.test('are shown newest first, before the address is confirmed, too, and are nobody else’s', async (t) => {
    const [person, other] = [await newcomer(), await confirmedPerson(service)];
    await outboxEmpty(tables);
    const { status, headers, body } = await list(person.token);
    t.equal(status, 200);
    t.match(headers, { 'content-type': /^application\/json/, 'cache-control': 'no-store' });
    t.strictSame(Object.keys(body), ['events', 'nextCursor']);
    t.equal(body.nextCursor, null);
    const types = body.events.map(({ type }: Listed) => type);
    t.strictSame(types.toSorted(), ['confirmation_mail_sent', 'logged_in', 'registered']);
    t.equal(types.at(-1), 'registered');
    for (const event of body.events) {
      t.strictSame(Object.keys(event), ['id', 'type', 'at', 'ip', 'userAgent']);
      const fromRequest = { ip: '127.0.0.1', userAgent: 'lightMyRequest' };
      t.match(event, event.type === 'confirmation_mail_sent' ? { ip: null, userAgent: null } : fromRequest, event.type);
      t.equal(event.at, new Date(event.at).toISOString());
    }
    const times = body.events.map(({ at }: Listed) => at);
    t.strictSame(times, times.toSorted().toReversed());
    const theirs = (await list(other.token)).body.events.map(({ id }: Listed) => id);
    for (const { id } of body.events) t.notOk(theirs.includes(id));
  });

  t.test('come 50 to a page, or as many as are asked for', async (t) => {
    const { id, token } = await newcomer();
    await outboxEmpty(tables);
    const ids = await happened(id, 120, past());
    const counts: [string, number][] = [
      ['', 50],
      ['?limit=&cursor=', 50],
      ['?limit=1', 1],
      ['?limit=1&cursor=', 1],
      ['?limit=99', 99],
      ['?limit=100', 100],
    ];
    for (const [query, count] of counts) {
      const { body } = await list(token, query);
      t.equal(body.events.length, count, query);
      t.equal(body.nextCursor, body.events.at(-1).id);
    }
    t.strictSame(
      (await list(token, `?cursor=${ids[2]}`)).body.events.map((event: Listed) => event.id),
      [ids[1], ids[0]],
    );
    const exact = await list(token, `?limit=2&cursor=${ids[2]}`);
    t.match([exact.body.events.length, exact.body.nextCursor], [2, null], 'a full page that is the last');
    t.strictSame((await list(token, `?cursor=${ids[0]}`)).body, { events: [], nextCursor: null }, 'past the end');
  });

  t.test('are paged through without gap or duplicate while others happen', async (t) => {
    const person = await newcomer();
    await outboxEmpty(tables);
    await happened(person.id, 23, past());
    const before: string[] = (await list(person.token, '?limit=100')).body.events.map(({ id }: Listed) => id);
    for (const limit of [1, 5, 13]) {
      const seen: string[] = [];
      let cursor: string | null = null;
      do {
        const { body } = await list(person.token, `?limit=${limit}${cursor === null ? '' : `&cursor=${cursor}`}`);
        seen.push(...body.events.map(({ id }: Listed) => id));
        cursor = body.nextCursor;
        if (seen.length < before.length) await happened(person.id, 1, service.clock.now().getTime());
      } while (cursor !== null);
      t.equal(new Set(seen).size, seen.length, 'none comes twice');
      t.strictSame(
        seen.filter((id) => before.includes(id)),
        before,
        `all come, ${limit} to a page`,
      );
    }
  });

  t.test('a cursor of somebody else’s shows one’s own events alone', async (t) => {
    const [person, other] = [await newcomer(), await newcomer()];
    await outboxEmpty(tables);
    const since = past();
    const own = await happened(person.id, 3, since);
    const [theirs] = await happened(other.id, 1, since + 1500);
    t.strictSame(
      (await list(person.token, `?cursor=${theirs}`)).body.events.map(({ id }: Listed) => id),
      [own[1], own[0]],
    );
    const unknown = await list(person.token, `?cursor=${randomUUID().replace(/^./, 'f')}`);
    t.equal(unknown.status, 200);
    t.equal(unknown.body.events.length, 6);
    t.equal((await list(person.token, `?cursor=${own[1]?.toUpperCase()}`)).body.events.length, 1, 'in capitals');
  });

  t.test('are not shown for a query that makes no sense', async (t) => {
    const { token } = await newcomer();
    const limits = ['0', '101', '-1', '1.5', '1e1', '050', '00', '+5', '%205', '5%20', '5%0A', 'x', '1000', '%D9%A5', 'null', '0x10'];
    const cursors = ['x', '0', 'urn:uuid:01a1fcb8-b0da-7772-b277-02bea7b5c31c', '01a1fcb8-b0da-7772-b277-02bea7b5c31', "'--", '*'];
    const more = ['userId=x', 'offset=1', 'limit=1&limit=2', 'limit[]=1', 'limit[a]=1', '__proto__=1', 'constructor=1', 'Limit=1'];
    const queries = [...limits.map((limit) => `limit=${limit}`), ...cursors.map((cursor) => `cursor=${cursor}`), ...more];
    for (const query of queries) refused(t, await list(token, `?${query}`), 400, 'validation_failed', query);
    for (const query of ['cursor=%00', 'limit=1%00', 'cursor=%FF']) {
      const answer = await list(token, `?${query}`);
      t.match([answer.status, answer.headers['content-type']], [400, /^application\/problem\+json/], query);
    }
  });

  t.test('are for who is logged in', async (t) => {
    refused(t, await service.get('/auth/events'), 401, 'unauthenticated');
    refused(t, await service.get('/auth/events?limit=0'), 401, 'unauthenticated', 'first of all');
  });
});
