import type { Measurement, ReadyLoad, Sent } from './load.ts';
import { betterAuth, createPeerPeople, express } from './peer-people.ts';
import { compared, measureItself, patiently, type Row, repeated, steady } from './row.ts';
import type { Measured } from './servers.ts';
import { type Subject, subjectOf } from './subject.ts';

/** Everything that runs while the standard set is measured. */
export interface Field {
  readonly own: Subject;
  readonly databaseUrl: string;
  /** With a hundred times as many people. */
  readonly grown: Subject;
  /** Another instance of the service, on the core of the load. */
  readonly second: Measured;
  /** With the log and the limits that it has by default. */
  readonly asByDefault: Measured;
  readonly constant: Measured;
  /** As it is by default, and with its cookie cache and our hash. */
  readonly betterAuth: Measured;
  readonly betterAuthTuned: Measured;
  readonly express: Measured;
}

const seconds = '8';

const constant = 'a constant, from Fastify';
const constantWithHeaders = 'a constant, with the header fields of every answer';
const guarded = 'guarded, bearer';
const guardedByCookie = 'guarded, cookie';
const verify = 'argon2id alone, verify';
const hash = 'argon2id alone, hash';
const statementsOf = (what: string) => `the statements of ${what} alone`;

/** The standard set. */
export async function standardRows(field: Field): Promise<Row[]> {
  const { databaseUrl } = field;
  const peers = {
    plain: await createPeerPeople(field.betterAuth, betterAuth),
    tuned: await createPeerPeople(field.betterAuthTuned, betterAuth),
    express: await createPeerPeople(field.express, express),
  };
  const own = subjectOf(field.own);
  const grown = subjectOf(field.grown);
  const second = subjectOf({ ...field.own, service: field.second });
  const byDefault = subjectOf({ ...field.own, service: field.asByDefault });
  const statements = (what: string): Row => ({
    what: statementsOf(what),
    measure: () => measureItself('raw-sql', [what, '4'], { DATABASE_URL: databaseUrl }),
  });
  const same = (path: string) => Array<Sent>(50).fill({ method: 'GET', path });
  const constantly = (path: string) => () => steady(field.constant, same(path), 50);
  const besideConstant = (load: () => Promise<ReadyLoad>) => () => compared(load, constantly('/'));
  const besideGuarded = (load: () => Promise<ReadyLoad>) => () => compared(load, own.steady.guarded);
  const peer = (server: Measured, people: { guarded(): Promise<Sent[]> }) => async () => repeated(server, await people.guarded(), 50);

  return [
    { what: constant, measure: () => repeated(field.constant, same('/'), 50) },
    { what: constantWithHeaders, yardstick: constant, measure: besideConstant(constantly('/with-headers')) },
    { what: guarded, yardstick: constant, target: 0.8, measure: besideConstant(own.steady.guarded) },
    { what: guardedByCookie, yardstick: constant, target: 0.7, measure: besideConstant(own.steady.guardedByCookie) },
    { what: 'GET /auth/verify', yardstick: constant, target: 0.75, measure: besideConstant(own.steady.verify) },
    { what: 'guarded, bearer, with log and limits', yardstick: guarded, measure: besideGuarded(byDefault.steady.guarded) },
    { what: 'guarded, bearer, while logins saturate', yardstick: guarded, target: 0.5, measure: own.guardedBesideLogins },
    { what: 'guarded, bearer, a million users', yardstick: guarded, target: 0.95, measure: besideGuarded(grown.steady.guarded) },
    { what: 'guarded, better-auth, cookie cache', yardstick: guardedByCookie, measure: peer(field.betterAuthTuned, peers.tuned) },
    { what: 'guarded, better-auth', yardstick: guardedByCookie, measure: peer(field.betterAuth, peers.plain) },
    { what: 'guarded, Express and Passport', yardstick: guardedByCookie, measure: peer(field.express, peers.express) },
    { what: verify, measure: () => measureItself('raw-argon2', ['verify', seconds, '2']) },
    { what: 'login, 10 at a time', yardstick: verify, target: 0.95, measure: () => own.login(10) },
    { what: 'login, 50 at a time', yardstick: verify, target: 0.95, measure: () => own.login(50) },
    { what: 'login, a million users', yardstick: 'login, 10 at a time', target: 0.95, measure: () => grown.login(10) },
    {
      what: 'login, two instances on two cores',
      yardstick: 'login, 10 at a time',
      target: 1.8,
      measure: async () => together(await Promise.all([own.login(10), second.login(10)])),
    },
    { what: 'login, better-auth, our hash', yardstick: verify, measure: () => patiently(field.betterAuthTuned, peers.tuned.logins, 10) },
    { what: 'login, better-auth, its own hash', yardstick: verify, measure: () => patiently(field.betterAuth, peers.plain.logins, 10) },
    { what: 'login, Express and Passport', yardstick: verify, measure: () => patiently(field.express, peers.express.logins, 10) },
    { what: hash, measure: () => measureItself('raw-argon2', ['hash', seconds, '2']) },
    { what: 'register', yardstick: hash, target: 0.9, measure: own.register },
    { what: 'register, a million users', yardstick: 'register', target: 0.95, measure: grown.register },
    statements('me'),
    { what: 'GET /auth/me', yardstick: statementsOf('me'), target: 0.5, measure: own.me },
    statements('refresh'),
    { what: 'refresh', yardstick: statementsOf('refresh'), target: 0.5, measure: own.refresh },
    { what: 'refresh, a million users', yardstick: 'refresh', target: 0.95, measure: grown.refresh },
    statements('confirm'),
    { what: 'confirm', yardstick: statementsOf('confirm'), target: 0.5, measure: own.confirm },
    { what: 'confirm, a million users', yardstick: 'confirm', target: 0.95, measure: grown.confirm },
  ];
}

/** What two servers do at the same time. */
function together([one, other]: [Measurement, Measurement]): Measurement {
  const worse = (of: 'p50' | 'p99') => Math.max(one[of], other[of]);
  return { perSecond: one.perSecond + other.perSecond, p50: worse('p50'), p99: worse('p99'), busy: one.busy };
}
