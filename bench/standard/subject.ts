import type { Lifetime } from '../../test/support/lifetime.ts';
import type { Sent } from './load.ts';
import { cores, once, patient, patiently, repeated, steady } from './row.ts';
import { type Measured, startService } from './servers.ts';
import { createWorld, password, type World } from './world.ts';

/** The service, with a database full of people. */
export interface Subject {
  readonly world: World;
  readonly service: Measured;
  readonly people: number;
}

/** Requests that can be sent once only, in a round: to warm up, and measured. */
export const single = { warmUp: 1000, measured: 3000 };
/** Whose tokens guarded requests rotate through. */
const peopleInUse = 10_000;
/** More registrations than there is time for. */
const plenty = 1000;
/** Whose logins are sent in a turn. */
const perTurn = 1000;
/** So many log in at once that there is always one more to be hashed, and none is turned away. */
const crowd = 20;
/** From before something else is measured until after that. */
const lasting = { ...patient, warmUp: 1, measured: 16 };

/** What the service is configured with, as it is by default but for what it has to be told. */
export const byDefault = { AUTH_SECRET: 'q9Xv2LmB7cTz4RkW8sYd1NfH6gJp3KaE', PUBLIC_URL: 'http://127.0.0.1' };

/** Without the log and the limits, which are measured apart. */
export const quiet = { LOG_LEVEL: 'warn', RATE_LIMIT: 'off' };

interface SubjectOptions {
  /** Of an empty database. */
  readonly databaseUrl: string;
  readonly smtpUrl: string;
  readonly people: number;
  readonly unconfirmed: number;
}

/** Fills a database with people, and starts a service on it. */
export async function startSubject(run: Lifetime, { databaseUrl, smtpUrl, people, unconfirmed }: SubjectOptions): Promise<Subject> {
  const env = { ...byDefault, ...quiet, DATABASE_URL: databaseUrl, SMTP_URL: smtpUrl };
  const world = await createWorld({ url: databaseUrl, env, people, unconfirmed });
  run.teardown(world.close);
  return { world, people, service: await startService(run, cores.server, env) };
}

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
  let loggedIn = 0;
  /** Of others each time: whoever logs in again and again loses the sessions that guarded requests are sent in. */
  function logins(): Sent[] {
    const from = loggedIn;
    loggedIn = (loggedIn + perTurn) % peopleInUse;
    return each((index) => world.login(spread(index)), from, perTurn);
  }
  let confirmed = 0;
  let registered = 0;
  let refreshes = 0;
  const guarded = () => repeated(service, get('/secret', world.bearer), 50);

  return {
    guarded,
    guardedFor: (seconds: number) => repeated(service, get('/secret', world.bearer), 50, { ...patient, warmUp: 1, measured: seconds }),
    /** The same, and what nginx asks for, to be compared. */
    steady: {
      guarded: () => steady(service, get('/secret', world.bearer), 50),
      guardedByCookie: () => steady(service, get('/secret', world.cookie), 50),
      verify: () => steady(service, get('/auth/verify', world.bearer), 50),
    },
    me: () => repeated(service, get('/auth/me', world.bearer), 10),
    login: (connections: number) => patiently(service, logins(), connections),

    async guardedBesideLogins() {
      const [measurement] = await Promise.all([guarded(), repeated(service, logins(), crowd, lasting)]);
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

function registration(index: number): Sent {
  const body = { email: `new${index}@example.com`, username: `new${index}`, password };
  return { method: 'POST', path: '/auth/register', headers: { 'content-type': 'application/json' }, body: JSON.stringify(body) };
}
