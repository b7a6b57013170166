import { setImmediate as nextTurn } from 'node:timers/promises';
import t from 'tap';
import { createPermits } from '../../src/credentials/permits.ts';

/** Work that ends when the test says so. */
function pendingWork() {
  const started: string[] = [];
  const end = new Map<string, () => void>();
  const fail = new Map<string, (error: Error) => void>();
  const work = (name: string) => () =>
    new Promise<string>((resolve, reject) => {
      started.push(name);
      end.set(name, () => resolve(name));
      fail.set(name, reject);
    });
  return { started, end: (name: string) => end.get(name)?.(), fail: (name: string) => fail.get(name)?.(new Error(name)), work };
}

t.test('no more work goes on at once than there are permits, and the rest follows in order', async (t) => {
  const { started, end, work } = pendingWork();
  const permits = createPermits({ size: 2, maxWaiting: 10 });
  const runs = ['a', 'b', 'c', 'd'].map((name) => permits.run(work(name)));
  await nextTurn();
  t.same(started, ['a', 'b']);
  end('b');
  t.equal(await runs[1], 'b');
  await nextTurn();
  t.same(started, ['a', 'b', 'c']);
  end('a');
  await runs[0];
  await nextTurn();
  t.same(started, ['a', 'b', 'c', 'd']);
  end('c');
  end('d');
  t.same(await Promise.all(runs), ['a', 'b', 'c', 'd']);
});

t.test('who finds the queue full is turned away at once, with a time to come back', async (t) => {
  const { started, end, work } = pendingWork();
  const permits = createPermits({ size: 1, maxWaiting: 1 });
  const [first, second] = [permits.run(work('first')), permits.run(work('second'))];
  t.match(permits.refusal(), { code: 'service_unavailable' }, 'as can be asked beforehand');
  const refusal = await permits.run(work('third')).catch((error: unknown) => error);
  t.match(refusal, { code: 'service_unavailable', status: 503, headers: { 'retry-after': /^[1-9]\d*$/ } });
  t.same(started, ['first']);
  end('first');
  await first;
  t.equal(permits.refusal(), undefined, 'there is room again');
  await nextTurn();
  end('second');
  t.equal(await second, 'second', 'those who waited are served');
  const again = permits.run(work('fourth'));
  await nextTurn();
  end('fourth');
  t.equal(await again, 'fourth', 'and so is who comes back');
  t.notOk(started.includes('third'));
});

t.test('work that fails gives its permit back, and tells its caller alone', async (t) => {
  const { end, fail, work } = pendingWork();
  const permits = createPermits({ size: 1, maxWaiting: 1 });
  const [failing, waiting] = [permits.run(work('failing')), permits.run(work('waiting'))];
  await nextTurn();
  fail('failing');
  await t.rejects(failing, { message: 'failing' });
  await nextTurn();
  end('waiting');
  t.equal(await waiting, 'waiting');
  await t.rejects(
    permits.run(() => {
      throw new Error('at once');
    }),
    { message: 'at once' },
  );
  t.equal(await permits.run(async () => 'free'), 'free');
});
