import type { Sent } from './load.ts';
import { betterAuth, createPeerPeople, express } from './peer-people.ts';
import { measureItself, once, patient, patiently, type Row, repeated } from './row.ts';
import type { Measured } from './servers.ts';
import { password, type World } from './world.ts';

/** The service, with a database full of people. */
export interface Subject {
  readonly world: World;
  readonly service: Measured;
  readonly people: number;
}

/** Everything that runs while the standard set is measured. */
export interface Field {
  readonly own: Subject;
  readonly databaseUrl: string;
  /** With a hundred times as many people. */
  readonly grown: Subject;
  /** With the log and the limits that it has by default. */
  readonly asByDefault: Measured;
  readonly constant: Measured;
  /** As it is by default, and with its cookie cache and our hash. */
  readonly betterAuth: Measured;
  readonly betterAuthTuned: Measured;
  readonly express: Measured;
}

/** Requests that can be sent once only, in a round: to warm up, and measured. */
export const single = { warmUp: 1000, measured: 3000 };
const seconds = '8';
/** Whose tokens guarded requests rotate through. */
const peopleInUse = 10_000;
/** More registrations than there is time for. */
const plenty = 1000;
/** So many log in at once that there is always one more to be hashed, and none is turned away. */
const crowd = 20;
/** From before something else is measured until after that. */
const lasting = { warmUp: 1, measured: 16 };

const constant = 'a constant, from Fastify';
const constantWithHeaders = 'a constant, with the header fields of every answer';
const guarded = 'guarded, bearer';
const guardedByCookie = 'guarded, cookie';
const verify = 'argon2id alone, verify';
const hash = 'argon2id alone, hash';
const statementsOf = (what: string) => `the statements of ${what} alone`;

/** Far fewer than there may be at once, spread over all there are. */
const among = (people: number) => (index: number) => index * Math.floor(people / peopleInUse);

/** What is measured of one service. */
export function subjectOf({ world, service, people }: Subject) {
  const spread = among(people);
  const each = (make: (index: number) => Sent, from = 0, count = peopleInUse) =>
    Array.from({ length: count }, (_, index) => make(from + index));
  const ofPeople = (make: (index: number) => Sent, count = peopleInUse) => each((index) => make(spread(index)), 0, count);
  const get = (path: string, headers: (index: number) => Record<string, string>) =>
    ofPeople((index) => ({ method: 'GET', path, headers: headers(index) }));
  const logins = ofPeople(world.login, 1000);
  let confirmed = 0;
  let registered = 0;
  let refreshes = 0;
  const guarded = () => repeated(service, get('/secret', world.bearer), 50);

  return {
    guarded,
    guardedFor: (seconds: number) => repeated(service, get('/secret', world.bearer), 50, { warmUp: 1, measured: seconds }),
    guardedByCookie: () => repeated(service, get('/secret', world.cookie), 50),
    verify: () => repeated(service, get('/auth/verify', world.bearer), 50),
    me: () => repeated(service, get('/auth/me', world.bearer), 10),
    login: (connections: number) => patiently(service, logins, connections),

    async guardedBesideLogins() {
      const [measurement] = await Promise.all([guarded(), repeated(service, logins, crowd, lasting)]);
      return measurement;
    },

    confirm() {
      const from = confirmed;
      confirmed += single.warmUp + single.measured;
      const warmUp = each(world.confirmation, from, single.warmUp);
      return once(service, { warmUp, measured: each(world.confirmation, from + single.warmUp, single.measured) }, 10);
    },

    refresh() {
      const of = (count: number) => {
        const counter = refreshes;
        refreshes += 1;
        return ofPeople((index) => world.refresh(index, counter), count);
      };
      // All of them get on by one, so that each token is the newest of its session.
      return once(service, { warmUp: of(single.measured), measured: of(single.measured) }, 10);
    },

    register() {
      const next = () => {
        const from = registered;
        registered += plenty;
        return each(registration, from, plenty);
      };
      return once(service, { warmUp: next(), measured: next() }, 10, patient);
    },
  };
}

/** The standard set. */
export async function standardRows(field: Field): Promise<Row[]> {
  const { databaseUrl } = field;
  const peers = {
    plain: await createPeerPeople(field.betterAuth, betterAuth),
    tuned: await createPeerPeople(field.betterAuthTuned, betterAuth),
    express: await createPeerPeople(field.express, express),
  };
  const [own, grown, byDefault] = [field.own, field.grown, { ...field.own, service: field.asByDefault }].map(subjectOf) as [
    ReturnType<typeof subjectOf>,
    ReturnType<typeof subjectOf>,
    ReturnType<typeof subjectOf>,
  ];
  const statements = (what: string): Row => ({
    what: statementsOf(what),
    measure: () => measureItself('raw-sql', [what, '4'], { DATABASE_URL: databaseUrl }),
  });
  const constantly = (path: string) => () => repeated(field.constant, Array<Sent>(50).fill({ method: 'GET', path }), 50);
  const peer = (server: Measured, people: { guarded(): Promise<Sent[]> }) => async () => repeated(server, await people.guarded(), 50);

  return [
    { what: constant, measure: constantly('/') },
    { what: constantWithHeaders, yardstick: constant, measure: constantly('/with-headers') },
    { what: guarded, yardstick: constant, target: 0.8, measure: own.guarded },
    { what: guardedByCookie, yardstick: constant, target: 0.7, measure: own.guardedByCookie },
    { what: 'GET /auth/verify', yardstick: constant, target: 0.75, measure: own.verify },
    { what: 'guarded, bearer, with log and limits', yardstick: guarded, measure: byDefault.guarded },
    { what: 'guarded, bearer, while logins saturate', yardstick: guarded, target: 0.5, measure: own.guardedBesideLogins },
    { what: 'guarded, bearer, a million users', yardstick: guarded, target: 0.95, measure: grown.guarded },
    { what: 'guarded, better-auth, cookie cache', yardstick: guardedByCookie, measure: peer(field.betterAuthTuned, peers.tuned) },
    { what: 'guarded, better-auth', yardstick: guardedByCookie, measure: peer(field.betterAuth, peers.plain) },
    { what: 'guarded, Express and Passport', yardstick: guardedByCookie, measure: peer(field.express, peers.express) },
    { what: verify, measure: () => measureItself('raw-argon2', ['verify', seconds, '2']) },
    { what: 'login, 10 at a time', yardstick: verify, target: 0.95, measure: () => own.login(10) },
    { what: 'login, 50 at a time', yardstick: verify, target: 0.95, measure: () => own.login(50) },
    { what: 'login, a million users', yardstick: 'login, 10 at a time', target: 0.95, measure: () => grown.login(10) },
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

function registration(index: number): Sent {
  const body = { email: `new${index}@example.com`, username: `new${index}`, password };
  return { method: 'POST', path: '/auth/register', headers: { 'content-type': 'application/json' }, body: JSON.stringify(body) };
}
