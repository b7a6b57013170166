import { setTimeout as pause } from 'node:timers/promises';
import t from 'tap';
import { eventually } from '../support/eventually.ts';
import { readArguments } from './harness/arguments.ts';
import type { Entry } from './harness/history.ts';
import { startLoad } from './harness/load.ts';
import type { Injected } from './harness/nemesis.ts';
import type { Person } from './harness/people.ts';
import { raid } from './harness/raid.ts';
import { describeRaid, judgeRaid, type RaidObserved } from './harness/raid-verdict.ts';

const clock = () => {
  const began = performance.now();
  return { now: () => performance.now() - began };
};

t.test('a raid kills as often as it is told, and seldom one while another is away', async (t) => {
  let [down, together, calls] = [0, 0, 0];
  const instance = (name: string) => ({
    name,
    async kill() {
      calls += 1;
      down += 1;
      if (down > 1) together += 1;
      await pause(20);
      down -= 1;
    },
  });
  const pulse = { unavailableSince: () => 7, recoveredAfter: () => 5 };
  const options = { history: clock(), pulse, seed: 1, say: () => {} };
  const { injected, mishap } = await raid({ ...options, instances: [instance('one'), instance('two')], rounds: 12 });
  t.strictSame([calls, injected.length, mishap], [12, 12, undefined]);
  t.ok(together <= 4, `${together} times`);
  t.strictSame([injected[0]?.unavailableMs, injected.at(-1)?.recoveredAfterMs], [7, 5]);

  const broken = { name: 'three', kill: () => Promise.reject(new Error('it does not come back')) };
  const spoiled = await raid({ ...options, instances: [broken], rounds: 12 });
  t.match(spoiled, { injected: [], mishap: { kind: 'instance: kill -9', error: { message: 'it does not come back' } } });
});

t.test('the load', async (t) => {
  const noMail = { newestToken: () => undefined };

  t.test('begins as many a second as it is told, with those first whose mail has come', async (t) => {
    const history = clock();
    const mailed = new Set<string>();
    const done: string[] = [];
    const deeds = {
      async register({ email }: Person) {
        done.push('register');
        if (email !== 'load1@load.example') mailed.add(email);
        return true;
      },
      async confirm(_person: Person, token: string, operation = '') {
        done.push(`${operation} ${token}`);
        return true;
      },
    };
    const sink = { newestToken: (email: string) => (mailed.has(email) ? email : undefined) };
    const load = startLoad({ deeds, history, sink, perSecond: 100 });
    await eventually('some have come', () => done.includes('confirm load3@load.example'));
    await load.stop();
    t.ok(done.length <= history.now() / 10 + 1, `${done.length} in ${history.now()} ms`);
    const confirmed = done.filter((each) => each !== 'register');
    t.ok(confirmed.length > 1);
    t.strictSame(
      confirmed,
      confirmed.map((_, index) => `confirm load${index + 2}@load.example`),
    );
    mailed.add('load1@load.example');
    t.equal(await load.confirmRest(), 0);
    t.ok(done.includes('confirm at the end load1@load.example'));
  });

  t.test('is no crowd that keeps growing, and says who has no mail', async (t) => {
    let answer = () => {};
    const answered = new Promise<void>((resolve) => {
      answer = resolve;
    });
    let begun = 0;
    const register = async () => {
      begun += 1;
      await answered;
      return true;
    };
    const load = startLoad({ deeds: { register, confirm: async () => true }, history: clock(), sink: noMail, perSecond: 20_000 });
    await eventually('it is at its most', () => load.mostUnderWay() === 400);
    await pause(50);
    t.equal(begun, 400);
    answer();
    await load.stop();
    t.ok((await load.confirmRest()) >= 400);
  });
});

const person = 'load1@load.example';
const kill = (from: number): Injected => ({
  ...{ kind: 'instance: kill -9', from, to: from + 500, wholeAt: from + 500, unavailableMs: 0, recoveredAfterMs: 0, hasHit: true },
});
const link = 'http://localhost/auth/confirm/a-token';
const copy = (at: number, id = 'one') => ({ messageId: `<${id}@latchkey.localhost>`, recipient: person, at, isUnanswered: false, link });
const entry = (operation: Entry['operation'], start: number): Entry => ({
  ...{ operation, person, start, end: start + 10, since: start, outcome: 'ok' },
});
/** One kill, with all that may come of it: the mail is sent, its sender dies, and it is sent again when the lease is over. */
const good: RaidObserved = {
  evidence: {
    history: [entry('register', 100), entry('confirm', 400)],
    accounts: [{ email: person, username: 'load1', confirmed: true, resets: 0 }],
    copies: [copy(150), copy(55_300)],
    deaths: [200],
  },
  ...{ kills: [kill(195)], rounds: 1, attempts: new Map([['one', 2]]), perSecond: 2, mostUnderWay: 3, withoutMail: 0 },
};
const having = (more: Partial<RaidObserved['evidence']>): RaidObserved => ({ ...good, evidence: { ...good.evidence, ...more } });
const complaints = (observed: RaidObserved) => judgeRaid(observed).flatMap((assertion) => assertion.complaints);

t.test('a raid in which all is as it must be', async (t) => {
  t.strictSame(complaints(good), []);
  const told = describeRaid(good).join('\n');
  t.match(told, /copies: 1, at most 1 for one kill/);
  t.match(told, /within a minute: 100\.0 %/);
  t.match(told, /2\.0 registrations and confirmations answered a second, 2 in all; at most 3/);
});

t.test('what is wrong after a raid is found', async (t) => {
  const slow = copy(120_200);
  const wrong: Readonly<Record<string, readonly [RaidObserved, RegExp]>> = {
    'too few kills': [{ ...good, rounds: 2 }, /it was 1 times/],
    'too little load': [{ ...good, perSecond: 10 }, /2\.0 a second/],
    'none at all': [{ ...good, kills: [] }, /0\.0 a second/],
    'a mail that comes late': [having({ copies: [slow] }), /had a mail after 120090 ms, taken 2 times/],
    'or after the last registration': [{ ...having({ copies: [slow] }), kills: [] }, /had a mail after 120090 ms/],
    'a mail that never comes': [having({ copies: [] }), /had a mail after Infinity ms, taken 0 times/],
    'more copies than kills': [having({ copies: [copy(150), copy(55_300), copy(110_500)], deaths: [200, 55_400] }), /2 copies, 1 kills/],
    'a copy after no kill': [having({ deaths: [20_000] }), /<one@latchkey.localhost>, at 55300/],
    'a copy while somebody still had it': [having({ copies: [copy(150), copy(5000)] }), /<one@latchkey.localhost>, at 5000/],
    'an account that is not confirmed': [
      having({ accounts: [{ email: person, username: 'load1', confirmed: false, resets: 0 }] }),
      /load1@load.example is not confirmed/,
    ],
    'people who had no mail': [{ ...good, withoutMail: 2 }, /2 had no mail/],
  };
  for (const [what, [observed, complaint]] of Object.entries(wrong)) t.match(complaints(observed).join('\n'), complaint, what);
  const second = { ...having({ copies: [slow] }), kills: [kill(195), kill(61_000)], rounds: 2, perSecond: 0.01 };
  t.match(complaints(second), ['0.0 %'], 'there was a kill a minute before, but few of them came sooner');
});

t.test('arguments of a raid', async (t) => {
  t.match(readArguments(['--kills', '500']), { kills: 500, perSecond: 200, replay: /--kills 500/ });
  t.match(readArguments(['--kills', '5', '--per-second', '50']), { kills: 5, perSecond: 50 });
  const senseless = [
    ['--kills=0'],
    ['--kills=1.5'],
    ['--kills=x'],
    ['--kills=5', '--hours=1'],
    ['--kills=5', '--per-second=0'],
    ['--per-second=9'],
  ];
  for (const args of senseless) t.throws(() => readArguments(args), args.join(' '));
});
