import { once } from 'node:events';
import { createServer, type Server } from 'node:http';
import type { AddressInfo } from 'node:net';
import t, { type Test } from 'tap';
import { eventually } from '../support/eventually.ts';
import { readArguments } from './harness/arguments.ts';
import { type Arena, companionsOf, faultKinds, faults } from './harness/faults.ts';
import type { Entry } from './harness/history.ts';
import { type Injected, rage } from './harness/nemesis.ts';
import { startPulse } from './harness/pulse.ts';
import { describeRun } from './harness/report.ts';
import { createRandom } from './harness/seed.ts';
import { judge, type Observed } from './harness/verdict.ts';

const nothing: Observed = {
  evidence: { history: [], accounts: [], mailIds: new Set(), copies: [], refused: new Set(), faults: [], deaths: [] },
  ...{ injected: [], mishap: undefined, kinds: [], leftOver: 0, unexpectedEnds: [] },
};
const complaints = (observed: Partial<Observed>, what: RegExp) =>
  judge({ ...nothing, ...observed })
    .filter((assertion) => what.test(assertion.what))
    .flatMap((assertion) => assertion.complaints);

t.test('a run in which nothing happened has not passed', async (t) => {
  t.strictSame(complaints({}, /could be injected/), ['none']);
  t.ok(complaints({}, /got on/).some((complaint) => complaint.startsWith('register succeeded 0 times')));
  t.strictSame(complaints({ kinds: ['postgres: disk full'] }, /disk full: happened/), ['it did not']);
  const missed: Injected = { kind: 'instance: kill -9', from: 0, to: 1, wholeAt: 1, unavailableMs: 0, recoveredAfterMs: 0, hasHit: false };
  t.strictSame(complaints({ kinds: [missed.kind], injected: [missed] }, /happened/), ['it did not']);
  const mishap = { kind: missed.kind, error: new Error('it does not start') };
  t.strictSame(complaints({ mishap }, /could be injected/), ['instance: kill -9: Error: it does not start']);
});

t.test('a request without an answer needs a reason, and a fault of the mail server is none', async (t) => {
  const entry: Entry = { operation: 'log in', person: 'ada', start: 5000, end: 5100, since: 5000, outcome: 'unknown', status: 503 };
  function unanswered(kind: Injected['kind'], from: number): number {
    const injected = [{ kind, from, to: from + 1000, wholeAt: from + 1000, unavailableMs: 0, recoveredAfterMs: 0, hasHit: true }];
    return complaints({ evidence: { ...nothing.evidence, history: [entry] }, injected }, /had its answer/).length;
  }
  t.equal(unanswered('postgres: black hole', 4500), 0);
  t.equal(unanswered('postgres: black hole', 8000), 1);
  t.equal(unanswered('smtp: black hole', 4500), 1);
});

t.test('an answer that it is not possible now says when it will be', async (t) => {
  const entry: Entry = { operation: 'log in', person: 'ada', start: 0, end: 1, since: 0, outcome: 'unknown', status: 503 };
  const told = (...history: Entry[]) => complaints({ evidence: { ...nothing.evidence, history } }, /503 said when/);
  t.strictSame(told({ ...entry, retryAfter: '1' }), []);
  t.strictSame(told(entry, { ...entry, start: 5, retryAfter: '0' }), ['log in, at 0', 'log in, at 5']);
});

t.test('those who only read notice nothing while nothing can be written', async (t) => {
  const kind = 'postgres: disk full';
  const fault: Injected = { kind, from: 1000, to: 5000, wholeAt: 5000, unavailableMs: 0, recoveredAfterMs: 0, hasHit: true };
  const read: Entry = { operation: 'read', person: 'ada', start: 2000, end: 2010, since: 2000, outcome: 'ok', status: 200 };
  const failed: Entry = { ...read, start: 3000, end: 3010, outcome: 'unknown', status: 503 };
  const told = (history: Entry[], more: Partial<Injected> = {}) =>
    complaints(
      { kinds: [kind], evidence: { ...nothing.evidence, history }, injected: [{ ...fault, ...more }] },
      /disk full: those who only read/,
    );
  t.strictSame(told([read]), []);
  t.strictSame(told([read, failed]), ['ada was answered 503, at 3000']);
  t.strictSame(told([failed]), ['none was answered from 1000 to 5000']);
  t.strictSame(told([read, { ...failed, start: 900 }, { ...failed, end: 5001 }]), [], 'before and afterwards');
  const hidden = told([read, failed], { beside: 'instance: kill -9' });
  t.strictSame(hidden, ['it was never there without a fault of the instances'], 'that says nothing');
  t.notOk(companionsOf(kind).includes('instance: kill -9'), 'so in its own turn it is not');
  t.strictSame(told([read, failed], { beside: 'smtp: black hole' }), ['ada was answered 503, at 3000']);
});

t.test('that two want one user name has to happen', async (t) => {
  const kinds = ['instance: kill -9', 'instance: SIGSTOP'] as const;
  const entry: Entry = { operation: 'register', person: 'ada', username: 'name', start: 0, end: 1, since: 0, outcome: 'ok' };
  const told = (...history: Entry[]) => complaints({ kinds, evidence: { ...nothing.evidence, history } }, /one user name/);
  t.strictSame(told(entry, { ...entry, start: 5 }), ['nobody did']);
  t.strictSame(told(entry, { ...entry, person: 'bob' }), []);
});

t.test('a sample is of all, and has nobody twice', async (t) => {
  const all = Array.from({ length: 1000 }, (_, index) => index);
  const some = createRandom(7).sample(all, 300);
  t.equal(new Set(some).size, 300);
  t.ok(some.some((index) => index < 100) && some.some((index) => index > 900));
  t.strictSame(createRandom(7).sample(all, 300), some);
  t.equal(createRandom(7).sample(all, 2000).length, 1000);
});

t.test('two faults at the same time have both happened, and the slower one says when the service has recovered', async (t) => {
  const pair = ['postgres: restart fast', 'smtp: black hole'] as const;
  const times = { from: 0, to: 500, wholeAt: 5000, unavailableMs: 0, hasHit: true };
  const both = (recoveredAfterMs: number): Injected[] => [
    { ...times, kind: pair[0], beside: pair[1], recoveredAfterMs },
    { ...times, kind: pair[1], beside: pair[0], recoveredAfterMs, to: 5000 },
  ];
  const alone: Injected = { ...times, kind: pair[0], recoveredAfterMs: 6000 };
  t.strictSame(complaints({ kinds: pair, injected: both(0) }, /happened/), []);
  t.strictSame(complaints({ kinds: pair, injected: [alone] }, /fast: recovered/), ['at 0: after 6000 ms']);
  t.strictSame(complaints({ kinds: pair, injected: both(6000) }, /: recovered/), []);
  t.strictSame(complaints({ kinds: pair, injected: both(11_000) }, /fast: recovered/), ['at 0, beside smtp: black hole: after 11000 ms']);
  const entry: Entry = { operation: 'read', person: 'ada', start: 4000, end: 4100, since: 4000, outcome: 'unknown' };
  const evidence = { ...nothing.evidence, history: [entry] };
  t.equal(complaints({ evidence, injected: both(0) }, /had its answer/).length, 0, 'until both are over');
  t.equal(complaints({ evidence, injected: [{ ...alone, wholeAt: 500, recoveredAfterMs: 0 }] }, /had its answer/).length, 1);
  const rows = describeRun(evidence, [...both(0), alone], 0).filter((line) => line.startsWith('postgres') || line.startsWith('smtp'));
  const named = rows.map((line) => line.replace(/ {2,}.*/, ''));
  t.strictSame(named, [pair[0], `${pair[0]}, and ${pair[1]}`, `${pair[1]}, and ${pair[0]}`]);
});

t.test('two faults at the same time never break the same, and what hits nothing is tried again', async (t) => {
  for (const kind of faultKinds) {
    t.ok(companionsOf(kind).length > 0);
    t.notOk(
      companionsOf(kind).some((other) => other.split(':')[0] === kind.split(':')[0]),
      kind,
    );
  }
  let isReached = false;
  const instances = [{ crashAfter: async () => isReached }];
  const arena = { instances, random: createRandom(1), volume: { missing: 'none' } } as unknown as Arena;
  const pulse = { recoveredAfter: () => 0, unavailableSince: () => 0 };
  const kind = 'instance: kill -9 after the claim of a mail';
  const run = () => rage({ arena, only: kind, pulse, history: { now: () => 0 }, until: 0, say: () => {} });
  const { injected } = await run();
  t.strictSame(
    injected.map(({ hasHit }) => hasHit),
    [false, false, false],
  );
  t.strictSame(complaints({ kinds: [kind], injected }, /happened/), ['it did not']);
  isReached = true;
  t.match((await run()).injected, [{ kind, hasHit: true }]);
});

t.test('a fault of the mail server has hit something when a mail has met it', async (t) => {
  const noTime = { ...createRandom(1), between: () => 0 };
  let hits = 0;
  let met = 0;
  const fail = () => {
    hits += met;
  };
  const arena = { sink: { hits: () => hits, fail }, random: noTime, instances: [] } as unknown as Arena;
  for (const kind of ['smtp: 421 to every sender', 'smtp: 451 to every recipient', 'smtp: hangs after DATA, and never answers'] as const) {
    met = 0;
    t.equal(await faults[kind].inject(arena), false, kind);
    met = 1;
    t.equal(await faults[kind].inject(arena), true, kind);
  }
});

t.test('a service is well when it has answered for a while, and not when it only has not failed yet', async (t) => {
  let isSilent = false;
  const server = await listen(t, (_request, response) => {
    if (!isSilent) response.setHeader('content-type', 'application/json').end('{"accessToken":"token"}');
  });
  const began = performance.now();
  const history = { now: () => performance.now() - began };
  const people = [{ email: 'ada@example.com', password: 'her password' }];
  const pulse = startPulse(t, { base: `http://127.0.0.1:${(server.address() as AddressInfo).port}`, people, history });
  await eventually('it is well', () => pulse.recoveredAfter(0) !== undefined);
  isSilent = true;
  const since = history.now();
  let wasEverWell = false;
  await eventually('its failures are known', () => {
    wasEverWell ||= pulse.recoveredAfter(since) !== undefined;
    return pulse.unavailableSince(since) > 2000;
  });
  t.notOk(wasEverWell);
  isSilent = false;
  await eventually('it is well again', () => (pulse.recoveredAfter(since) ?? 0) > 2000);
});

t.test('arguments that make no sense are refused', async (t) => {
  const senseless = ['--minutes=abc', '--minutes=', '--only=nonsense', '--seed=x', '--seed=1.7', '--seed=4294967296', '--bogus', 'word'];
  for (const arg of senseless) t.throws(() => readArguments([arg]), arg);
  t.match(readArguments(['--seed', '7', '--hours', '1']), { seed: 7, lastsMs: 3_600_000, replay: /-- --seed 7 --hours 1$/ });
});

async function listen(t: Test, answer: NonNullable<Parameters<typeof createServer>[1]>): Promise<Server> {
  const server = createServer({}, answer).listen(0, '127.0.0.1');
  await once(server, 'listening');
  t.teardown(() => {
    server.closeAllConnections();
    server.close();
  });
  return server;
}
