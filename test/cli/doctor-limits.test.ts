import Fastify from 'fastify';
import { Redis } from 'ioredis';
import t, { type Test } from 'tap';
import { openRedisCounters } from '../../src/limits/redis-counters.ts';
import { examine, faultsIn, finds, mended } from '../support/doctor.ts';
import { eventually } from '../support/eventually.ts';
import { noRedis, startRedis } from '../support/redis.ts';

const look = (t: Test, url: string) => examine(t, { REDIS_URL: url }, 'limits');

t.test('without REDIS_URL there is no server to ask', async (t) => {
  finds(t, await look(t, ''), []);
});

t.test('Redis', { skip: noRedis }, async (t) => {
  const server = await startRedis(t);
  const administrator = new Redis(server.url);
  administrator.on('error', () => {});
  t.teardown(() => administrator.disconnect());
  const as = (user: string, password: string) => server.url.replace('//', `//${user}:${password}@`);

  t.test('on this machine, in which nothing is counted', async (t) => {
    finds(t, await look(t, server.url), [{ level: 'ok', what: /without TLS: it is on this machine/ }]);
    t.equal(await administrator.dbsize(), 0);
  });

  t.test('that is reached over a network, as far as its name tells', async (t) => {
    const REDIS_URL = server.url.replace('127.0.0.1', '0.0.0.0');
    const found = await look(t, REDIS_URL);
    finds(t, found, [{ level: 'warning', what: /without TLS/, mend: /^REDIS_URL=/ }]);
    t.strictSame(mended(found, { REDIS_URL }), { REDIS_URL: REDIS_URL.replace('redis:', 'rediss:') });
  });

  t.test('that has no TLS where it is asked for', async (t) => {
    finds(t, await look(t, server.url.replace('redis:', 'rediss:')), [{ level: 'warning', what: /cannot be reached/ }]);
  });

  t.test('whose user may do something else, until it may do what mends it', async (t) => {
    const keys = '~latchkey:limit:*';
    const cases = [
      '+@all ~other:*',
      `+@all -incrby ${keys}`,
      `+@all -set ${keys}`,
      `+@all -pexpire ${keys}`,
      `+@all -@scripting ${keys}`,
      `-@all ${keys}`,
    ];
    for (const rules of cases) {
      await administrator.call('acl', 'setuser', 'other', 'reset', 'on', '>c4n4ry', ...rules.split(' '));
      const found = await look(t, as('other', 'c4n4ry'));
      finds(t, found, [{ level: 'warning', what: /may not use all keys and commands/, mend: /^ACL SETUSER USER / }]);
      await administrator.call('acl', 'setuser', 'other', ...(found[0]?.mend?.split(' ').slice(3) ?? []));
      t.strictSame(faultsIn(await look(t, as('other', 'c4n4ry'))), [], rules);
      t.equal(await administrator.dbsize(), 0, rules);
    }
  });

  t.test('whose user may not ask what it is, of which nothing is written', async (t) => {
    const { warn } = console;
    const written: unknown[] = [];
    console.warn = (...words) => void written.push(words);
    t.teardown(() => {
      console.warn = warn;
    });
    await administrator.call('acl', 'setuser', 'quiet', 'on', '>c4n4ry', '+@all', '-info', '~*');
    t.strictSame(faultsIn(await look(t, as('quiet', 'c4n4ry'))), []);
    t.strictSame(written, []);
  });

  t.test('that is a replica, or full, or has no such database', async (t) => {
    await administrator.call('replicaof', '127.0.0.1', '1');
    finds(t, await look(t, server.url), [{ level: 'warning', what: /is a replica, which takes no writes/, mend: /@PRIMARY:/ }]);
    await administrator.call('replicaof', 'no', 'one');
    await administrator.config('SET', 'maxmemory', '1');
    const full = await look(t, server.url);
    finds(t, full, [{ level: 'warning', what: /is full/, mend: 'CONFIG SET maxmemory SIZE' }]);
    await administrator.config('SET', 'maxmemory', '100mb');
    finds(t, await look(t, `${server.url}/99`), [{ level: 'warning', what: /no such database/, mend: /^REDIS_URL=/ }]);
    t.strictSame(faultsIn(await look(t, `${server.url}/15`)), []);
    t.equal(await administrator.dbsize(), 0);
  });

  t.test('whose credentials are others, of which nothing is told', async (t) => {
    await administrator.call('acl', 'setuser', 'limits', 'on', '>c4n4ry', 'resetkeys', '+@connection', '+info');
    const wrong = await look(t, as('limits', 'c4n4ry2'));
    finds(t, wrong, [{ level: 'warning', what: /refuses user and password \(WRONGPASS\)/, mend: /^REDIS_URL=/ }]);
    const [finding] = await look(t, as('limits', 'c4n4ry'));
    t.match(finding, { level: 'warning', what: /may not use all keys and commands/, mend: /^ACL SETUSER/ });
    await administrator.call('acl', 'setuser', 'limits', ...(finding?.mend?.split(' ').slice(3) ?? []));
    t.strictSame(faultsIn(await look(t, as('limits', 'c4n4ry'))), []);
    const counters = openRedisCounters(as('limits', 'c4n4ry'), Fastify().log);
    t.teardown(counters.close);
    const count = () => counters.add([{ key: 'a', by: 1, windowSeconds: 60 }]);
    const isCounted = () =>
      count().then(
        () => true,
        () => false,
      );
    await eventually('what it may do suffices', isCounted);
    t.match(await counters.add([{ key: 'a', by: -9, windowSeconds: 60 }]), [{ used: 0 }]);
    await administrator.call('acl', 'setuser', 'default', 'resetpass', '>c4n4ry');
    finds(t, await look(t, server.url), [{ level: 'warning', what: /refuses user and password \(NOAUTH\)/ }]);
    t.notMatch(JSON.stringify(wrong), /c4n4ry/);
  });

  t.test('that says nothing, or is not there', async (t) => {
    server.hold();
    finds(t, await look(t, server.url), [{ level: 'warning', what: /cannot be reached: it took too long/ }]);
    server.goOn();
    await server.kill();
    finds(t, await look(t, server.url), [{ level: 'warning', what: /cannot be reached: ECONNREFUSED/, mend: /^REDIS_URL=/ }]);
  });
});
