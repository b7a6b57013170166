import t from 'tap';
import { check, type Invariant } from './harness/checker.ts';
import { findDuplicates } from './harness/duplicates.ts';
import type { Evidence } from './harness/evidence.ts';
import type { Entry } from './harness/history.ts';
import type { Copy } from './harness/sink.ts';

const email = 'ada@example.com';
const account = { email: 'Ada@Example.com', username: 'Ada', confirmed: true, resets: 0 };
const mailId = '01a20011-2f86-7161-98e9-cbc7b1390121';

/** A request that took 10 ms, and succeeded if nothing else is said. */
function entry(operation: Entry['operation'], start: number, more: Partial<Entry> = {}): Entry {
  return { operation, person: email, start, end: start + 10, since: start, outcome: 'ok', ...more };
}

function copy(at: number, more: Partial<Copy> = {}): Copy {
  const link = 'http://localhost/auth/confirm/a-token';
  return { messageId: `<${mailId}@latchkey.localhost>`, recipient: email, at, isUnanswered: false, link, ...more };
}

const refusal = (status: number, code: string) => ({ outcome: 'fail', status, code }) as const;
const unknown = { outcome: 'unknown' } as const;

/** One life in which all is as it must be: everything that a violation below is made from is in it. */
const goodHistory: readonly Entry[] = [
  entry('register', 0, unknown),
  entry('register', 400, { ...refusal(409, 'email_taken'), since: 0 }),
  entry('register', 500, { person: 'bob@example.com', username: 'bob' }),
  entry('log in', 600, { session: 'first' }),
  entry('read', 700, { ...refusal(403, 'unconfirmed'), session: 'first' }),
  entry('confirm', 800, unknown),
  entry('confirm', 1200, { since: 800 }),
  entry('read', 1300, { session: 'first' }),
  entry('refresh', 1400, { ...unknown, session: 'first', token: 'a' }),
  entry('refresh', 1800, { since: 1400, session: 'first', token: 'a' }),
  entry('reset', 2000, { ...unknown, token: 'link' }),
  entry('reset', 2400, { ...refusal(410, 'used_token'), since: 2000, token: 'link' }),
  entry('log in', 2500, { session: 'second' }),
  entry('log out', 2600, { session: 'second' }),
  // Another instance has not heard of it yet.
  entry('read with a dead session', 2700, { session: 'second' }),
  entry('read with a dead session', 9000, { ...refusal(401, 'unauthenticated'), session: 'second' }),
  entry('refresh a dead session', 9100, { ...refusal(401, 'invalid_refresh_token'), session: 'second' }),
  entry('refresh with a spent token', 30_000, { ...refusal(401, 'invalid_refresh_token'), session: 'first', token: 'a' }),
  entry('log in with an old password', 31_000, refusal(401, 'invalid_credentials')),
  entry('reset with a spent token', 32_000, { ...refusal(410, 'used_token'), token: 'link' }),
  entry('read as a stranger', 33_000, refusal(401, 'unauthenticated')),
  entry('log in with a wrong password', 34_000, refusal(401, 'invalid_credentials')),
  // Bob was faster.
  entry('register', 495, { ...refusal(409, 'username_taken'), person: 'rob@example.com', username: 'bob' }),
  entry('log in at the end', 90_000),
];
const bob = { email: 'bob@example.com', username: 'bob', confirmed: false, resets: 0 };
const bobsMail = '01a20012-a4c4-752e-a963-d69f0654b2ca';
const good: Evidence = {
  history: goodHistory,
  accounts: [{ ...account, resets: 1 }, bob],
  mailIds: new Set([mailId, bobsMail]),
  copies: [copy(450), copy(650, { recipient: bob.email, messageId: `<${bobsMail}@latchkey.localhost>` })],
  refused: new Set(),
  faults: [{ kind: 'postgres: restart fast', from: 10_000, to: 11_000 }],
  deaths: [],
};

/** The same, with requests more. */
const having = (...more: readonly Entry[]): Evidence => ({ ...good, history: [...goodHistory, ...more] });
const known = (invariants: readonly { invariant: Invariant }[]) => [...new Set(invariants.map(({ invariant }) => invariant))];

t.test('a history in which all is as it must be is found to be so', async (t) => {
  t.strictSame(check(good), []);
});

const eve = 'eve@example.com';
const third = entry('log in', 3000, { session: 'third' });

/** Whatever is wrong, by the promise that it breaks. */
const violations: readonly (readonly [Invariant, string, Evidence])[] = [
  ['I1', 'an acknowledged registration has no account', { ...good, accounts: [{ ...account, resets: 1 }] }],
  ['I1', 'somebody cannot log in any longer', having(entry('log in', 3000, refusal(401, 'invalid_credentials')))],
  ['I1', 'somebody cannot log in at the end', having(entry('log in at the end', 91_000, refusal(401, 'invalid_credentials')))],
  ['I2', 'a registration gets no mail', { ...good, copies: good.copies.slice(0, 1) }],
  [
    'I2',
    'a mail comes later than three minutes, without the fault, after the registration',
    { ...good, copies: [copy(450), { ...good.copies[1], at: 181_511 } as Copy] },
  ],
  ['I2', 'two mails come for one registration', { ...good, copies: [...good.copies, copy(700, { recipient: bob.email })] }],
  ['I2', 'a copy comes for no reason', { ...good, copies: [...good.copies, copy(700)] }],
  ['I2', 'a copy comes for a fault of the database', { ...good, copies: [...good.copies, copy(10_500), copy(60_000)] }],
  [
    'I2',
    'a mail comes later than that, when two faults at the same time are counted once',
    {
      ...{ ...good, copies: [copy(450), { ...good.copies[1], at: 182_511 } as Copy] },
      faults: [...good.faults, { kind: 'smtp: black hole', from: 9500, to: 11_500 }],
    },
  ],
  ['I2', 'two copies come for one crash', { ...good, deaths: [1000], copies: [...good.copies, copy(2000), copy(2500)] }],
  [
    'I2',
    'an account of which nobody was told gets no mail',
    { ...good, accounts: [...good.accounts, { ...account, email: eve, username: 'eve', confirmed: false }] },
  ],
  ['I2', 'no mail comes for a reset', having(entry('ask for a reset', 3000))],
  ['I3', 'a mail is of a row that never was', { ...good, mailIds: new Set([bobsMail]) }],
  ['I3', 'a mail is to somebody who has no account', { ...good, copies: [...good.copies, copy(700, { recipient: eve, messageId: 'x' })] }],
  ['I4', 'the newest link is refused', having(entry('confirm', 3000, refusal(400, 'invalid_token')))],
  ['I4', 'the newest link is refused at the end', having(entry('confirm at the end', 91_000, refusal(410, 'expired_token')))],
  ['I4', 'a link is over after less than its hour', having(entry('confirm at the end', 3_300_440, refusal(410, 'expired_token')))],
  ['I4', 'a link that is over confirms', having(entry('confirm at the end', 3_900_460))],
  ['I4', 'a confirmation is lost', { ...good, accounts: [{ ...account, confirmed: false, resets: 1 }, bob] }],
  [
    'I4',
    'the link of a reset is refused at its first use',
    having(entry('reset', 3000, { ...refusal(410, 'used_token'), token: 'other' })),
  ],
  ['I5', 'two accounts have one address', { ...good, accounts: [...good.accounts, { ...account, username: 'eve' }] }],
  ['I5', 'two accounts have one user name', { ...good, accounts: [...good.accounts, { ...account, email: eve }] }],
  [
    'I5',
    'two get one user name, of whom one has another account in the end',
    {
      ...having(entry('register', 3000, { person: eve, username: 'bob' })),
      accounts: [...good.accounts, { ...account, email: eve, username: 'eve', confirmed: false }],
    },
  ],
  [
    'I5',
    'two want one user name, and nobody gets it',
    having(
      entry('register', 3000, { ...refusal(409, 'username_taken'), person: eve, username: 'eve' }),
      entry('register', 3000, { ...refusal(409, 'username_taken'), person: 'eva@example.com', username: 'eve' }),
    ),
  ],
  ['I5', 'a name is given to two', having(entry('register', 3000, { person: 'bob@example.com' }))],
  ['I6', 'a spent link of a reset works again', having(entry('reset with a spent token', 3000, { token: 'link' }))],
  ['I6', 'a spent refresh token works again', having(entry('refresh with a spent token', 30_000, { session: 'first' }))],
  ['I6', 'one token sets two passwords', having(entry('reset', 3000, { token: 'x' }), entry('reset', 3500, { token: 'x' }))],
  ['I6', 'there were more resets than tokens', { ...good, accounts: [{ ...account, resets: 2 }, bob] }],
  ['I7', 'a session that is logged out is let in', having(entry('read with a dead session', 6200, { session: 'second' }))],
  ['I7', 'a session that is logged out is refreshed', having(entry('refresh a dead session', 2700, { session: 'second' }))],
  [
    'I7',
    'a session from before a reset is let in',
    having(entry('reset', 3000, { token: 'x' }), entry('read with a dead session', 9000, { session: 'first' })),
  ],
  [
    'I7',
    'a session from before a reset that was done, but not answered, is let in',
    having(entry('read with a dead session', 9000, { session: 'first' })),
  ],
  [
    'I7',
    'a session is let in after a logout that was done, but not answered',
    having(
      third,
      entry('log out', 4000, { ...unknown, session: 'third' }),
      entry('log out', 5000, { ...refusal(401, 'unauthenticated'), since: 4000, session: 'third' }),
      entry('read with a dead session', 9000, { session: 'third' }),
    ),
  ],
  ['I7', 'the old password still works', having(entry('log in with an old password', 9000))],
  ['I8', 'somebody who has not confirmed is let in', having(entry('read', 600, { person: 'bob@example.com' }))],
  ['I8', 'a stranger is let in', having(entry('read as a stranger', 600))],
  ['I8', 'a wrong password works', having(entry('log in with a wrong password', 600))],
  [
    'I9',
    'a refresh that is tried again ends the session',
    having(
      third,
      entry('refresh', 4000, { ...unknown, session: 'third' }),
      entry('refresh', 5000, { ...refusal(401, 'invalid_refresh_token'), since: 4000, session: 'third' }),
    ),
  ],
  [
    'I9',
    'a session that lives is not let in',
    having(third, entry('read', 4000, { ...refusal(401, 'unauthenticated'), session: 'third' })),
  ],
  [
    'I9',
    'a session that lives cannot be ended',
    having(third, entry('log out', 4000, { ...refusal(401, 'unauthenticated'), session: 'third' })),
  ],
  [
    'I9',
    'somebody who has confirmed is kept out',
    having(third, entry('read', 4000, { ...refusal(403, 'unconfirmed'), session: 'third' })),
  ],
  ['I9', 'a registration is refused for no reason', having(entry('register', 3000, { ...refusal(400, 'validation_failed'), person: eve }))],
  ['I9', 'nobody may ask for a reset', having(entry('ask for a reset', 3000, refusal(429, 'rate_limited')))],
  [
    'I9',
    'a refresh is refused by another code',
    having(third, entry('refresh', 4000, { ...refusal(401, 'unauthenticated'), session: 'third' })),
  ],
  [
    'I9',
    'whoever wanted a user name that somebody has is told that the address is taken',
    having(entry('register', 3000, { ...refusal(409, 'email_taken'), person: eve, username: 'bob' })),
  ],
  [
    'I9',
    'the own user name is said to be that of somebody else',
    having(entry('register', 3000, { ...refusal(409, 'username_taken'), person: eve, username: 'eve' })),
  ],
  ['I9', 'a name is said to be taken that nobody has', having(entry('register', 3000, { ...refusal(409, 'email_taken'), person: eve }))],
];

t.test('what cannot be is found', async (t) => {
  for (const [invariant, what, evidence] of violations) t.ok(known(check(evidence)).includes(invariant), `${invariant}: ${what}`);
  t.strictSame(
    known(violations.map(([invariant]) => ({ invariant }))),
    ['I1', 'I2', 'I3', 'I4', 'I5', 'I6', 'I7', 'I8', 'I9'],
    'each promise can be found broken',
  );
});

t.test('what may be is not found', async (t) => {
  const allowed: readonly (readonly [string, Evidence])[] = [
    ['a copy after a crash', { ...good, deaths: [1000], copies: [...good.copies, copy(60_000)] }],
    [
      'a copy after a crash, before which the database could not be told of the first',
      {
        ...{ ...good, deaths: [15_500], copies: [...good.copies, copy(9000), copy(60_000)].slice(1) },
        faults: [{ kind: 'postgres: black hole', from: 8500, to: 15_000 }],
      },
    ],
    ['a copy of a mail that was not answered', { ...good, copies: [copy(450, { isUnanswered: true }), ...good.copies] }],
    [
      'a session that another instance, whose clock is behind, does not believe yet',
      {
        ...having(third, entry('read', 4000, { ...refusal(401, 'unauthenticated'), session: 'third' })),
        faults: [{ kind: 'instance: clock off by 5 minutes', from: 2000, to: 5000 }],
      },
    ],
    [
      'a session that lives on, after a logout without an answer and the refusal of such an instance',
      {
        ...having(
          third,
          entry('log out', 4000, { ...unknown, session: 'third' }),
          entry('log out', 5100, { ...refusal(401, 'unauthenticated'), since: 4000, session: 'third' }),
          entry('refresh a dead session', 9000, { session: 'third' }),
        ),
        faults: [{ kind: 'instance: clock off by 5 minutes', from: 2000, to: 5000 }],
      },
    ],
    ['a link that is over when it is followed', having(entry('confirm at the end', 3_300_460, refusal(410, 'expired_token')))],
    ['a link that is nearly over', having(entry('confirm at the end', 3_900_440))],
    ['no mail to an address that is refused for good', { ...good, copies: good.copies.slice(0, 1), refused: new Set([bob.email]) }],
    [
      'a session that is lost later than within the grace',
      having(entry('refresh', 5000, { ...refusal(401, 'invalid_refresh_token'), since: 0, end: 12_000, session: 'x' })),
    ],
    [
      'a session that is lost while somebody logs out',
      having(entry('refresh', 2605, { ...refusal(401, 'invalid_refresh_token'), session: 'second' })),
    ],
  ];
  for (const [what, evidence] of allowed) t.strictSame(check(evidence), [], what);
  t.match(findDuplicates({ copies: [copy(950), copy(60_000)], faults: [], deaths: [1000] }), [{ at: 60_000, excuse: 'crash' }]);
});
