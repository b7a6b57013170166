import type { Sent } from './load.ts';
import { betterAuth, createPeerPeople, express } from './peer-people.ts';
import { measureItself, once, patiently, type Row, repeated } from './row.ts';
import type { Measured } from './servers.ts';
import { password, type World } from './world.ts';

/** Everything that runs while the standard set is measured. */
export interface Field {
  readonly world: World;
  readonly databaseUrl: string;
  readonly people: number;
  readonly service: Measured;
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

const constant = 'a constant, from Fastify';
const verify = 'argon2id alone, verify';
const hash = 'argon2id alone, hash';
const statementsOf = (what: string) => `the statements of ${what} alone`;

/** The standard set. */
export async function standardRows(field: Field): Promise<Row[]> {
  const { world, people, databaseUrl } = field;
  const peers = {
    plain: await createPeerPeople(field.betterAuth, betterAuth),
    tuned: await createPeerPeople(field.betterAuthTuned, betterAuth),
    express: await createPeerPeople(field.express, express),
  };
  const each = (make: (index: number) => Sent, from = 0, count = people) => Array.from({ length: count }, (_, index) => make(from + index));
  const get = (path: string, headers: (index: number) => Record<string, string>) =>
    each((index) => ({ method: 'GET', path, headers: headers(index) }));
  const logins = each(world.login, 0, 1000);
  let confirmed = 0;
  let registered = 0;
  let refreshes = 0;

  function confirm() {
    const from = confirmed;
    confirmed += single.warmUp + single.measured;
    const warmUp = each(world.confirmation, from, single.warmUp);
    return once(field.service, { warmUp, measured: each(world.confirmation, from + single.warmUp, single.measured) }, 10);
  }

  function refresh() {
    const of = (count: number) => {
      const counter = refreshes;
      refreshes += 1;
      return each((index) => world.refresh(index, counter), 0, count);
    };
    // All of them get on by one, so that each token is the newest of its session.
    return once(field.service, { warmUp: of(single.measured), measured: of(single.measured) }, 10);
  }

  function register() {
    const requests = each((index) => registration(registered + index), 0, 1000);
    registered += requests.length;
    return patiently(field.service, requests, 10);
  }

  const statements = (what: string): Row => ({
    what: statementsOf(what),
    measure: () => measureItself('raw-sql', [what, '4'], { DATABASE_URL: databaseUrl }),
  });
  const guarded = (server: Measured) => repeated(server, get('/secret', world.bearer), 50);

  return [
    {
      what: constant,
      measure: () =>
        repeated(
          field.constant,
          get('/', () => ({})),
          50,
        ),
    },
    { what: 'guarded, bearer', yardstick: constant, target: 0.8, measure: () => guarded(field.service) },
    { what: 'guarded, cookie', yardstick: constant, target: 0.7, measure: () => repeated(field.service, get('/secret', world.cookie), 50) },
    {
      what: 'GET /auth/verify',
      yardstick: constant,
      target: 0.75,
      measure: () => repeated(field.service, get('/auth/verify', world.bearer), 50),
    },
    { what: 'guarded, bearer, with log and limits', yardstick: 'guarded, bearer', measure: () => guarded(field.asByDefault) },
    {
      what: 'guarded, better-auth, cookie cache',
      yardstick: 'guarded, cookie',
      measure: async () => repeated(field.betterAuthTuned, await peers.tuned.guarded(), 50),
    },
    {
      what: 'guarded, better-auth',
      yardstick: 'guarded, cookie',
      measure: async () => repeated(field.betterAuth, await peers.plain.guarded(), 50),
    },
    {
      what: 'guarded, Express and Passport',
      yardstick: 'guarded, cookie',
      measure: async () => repeated(field.express, await peers.express.guarded(), 50),
    },
    { what: verify, measure: () => measureItself('raw-argon2', ['verify', seconds, '2']) },
    { what: 'login, 10 at a time', yardstick: verify, target: 0.95, measure: () => patiently(field.service, logins, 10) },
    { what: 'login, 50 at a time', yardstick: verify, target: 0.95, measure: () => patiently(field.service, logins, 50) },
    { what: 'login, better-auth, our hash', yardstick: verify, measure: () => patiently(field.betterAuthTuned, peers.tuned.logins, 10) },
    { what: 'login, better-auth, its own hash', yardstick: verify, measure: () => patiently(field.betterAuth, peers.plain.logins, 10) },
    { what: 'login, Express and Passport', yardstick: verify, measure: () => patiently(field.express, peers.express.logins, 10) },
    { what: hash, measure: () => measureItself('raw-argon2', ['hash', seconds, '2']) },
    { what: 'register', yardstick: hash, target: 0.9, measure: register },
    statements('me'),
    {
      what: 'GET /auth/me',
      yardstick: statementsOf('me'),
      target: 0.5,
      measure: () => repeated(field.service, get('/auth/me', world.bearer), 10),
    },
    statements('refresh'),
    { what: 'refresh', yardstick: statementsOf('refresh'), target: 0.5, measure: refresh },
    statements('confirm'),
    { what: 'confirm', yardstick: statementsOf('confirm'), target: 0.5, measure: confirm },
  ];
}

function registration(index: number): Sent {
  const body = { email: `new${index}@example.com`, username: `new${index}`, password };
  return { method: 'POST', path: '/auth/register', headers: { 'content-type': 'application/json' }, body: JSON.stringify(body) };
}
