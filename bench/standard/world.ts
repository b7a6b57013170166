import pg from 'pg';
import { buildApp } from '../../src/app.ts';
import { systemClock } from '../../src/clock.ts';
import { loadConfig } from '../../src/config.ts';
import type { Sent } from './load.ts';

/** A database with people in it, and whatever they would have been sent. */
export interface World {
  /** What the person of a number sends along, as somebody whose address is confirmed, in a session that lives. */
  bearer(index: number): Record<string, string>;
  cookie(index: number): Record<string, string>;
  refresh(index: number, counter: number): Sent;
  /** The mailed link, followed by the person of a number, of those whose address is not confirmed. */
  confirmation(index: number): Sent;
  login(index: number): Sent;
  close(): Promise<void>;
}

interface WorldOptions {
  readonly url: string;
  readonly env: Readonly<Record<string, string>>;
  /** Each of whom has a session. */
  readonly people: number;
  /** How many more have not confirmed their address. */
  readonly unconfirmed: number;
}

export const password = 'correct horse battery staple';
const userAgent = 'bench';
const address = '127.0.0.1';
const json = { 'content-type': 'application/json', 'user-agent': userAgent };
/** Time-ordered, as those are that the service makes. */
const idOf = (group: string, index: number) => `019a0000-${group}-7000-8000-${index.toString(16).padStart(12, '0')}`;
const person = '0001';
const session = '0002';
const newcomer = '0003';
const newcomersSession = '0004';

/** Fills an empty database. */
export async function createWorld({ url, env, people, unconfirmed }: WorldOptions): Promise<World> {
  const app = await buildApp(loadConfig({ ...env, DATABASE_URL: url, LOG_LEVEL: 'warn' }), {
    clock: systemClock,
    worksInBackground: false,
  });
  const { accessTokens, actionTokens, clientDigests, hasher, refreshTokens, sessionCookies } = app.services;
  const client = clientDigests.of(address, userAgent);
  const db = new pg.Client({ connectionString: url });
  await db.connect();
  const passwordHash = await hasher.hash(password);
  const insertUsers = (group: string, count: number, confirmedAt: string) =>
    db.query(
      `insert into users (id, email, email_canonical, username, username_canonical, password_hash, confirmed_at, created_at)
       select (left($1, 24) || lpad(to_hex(n), 12, '0'))::uuid, $2 || n || '@example.com', $2 || n || '@example.com', $2 || n, $2 || n, $3,
         ${confirmedAt}, now()
       from generate_series(0, $4::int - 1) n`,
      [idOf(group, 0), nameOf(group), passwordHash, count],
    );
  const insertSessions = (group: string, owners: string, count: number) =>
    db.query(
      `insert into sessions (id, user_id, created_at, last_used_at, idle_expires_at, expires_at, remember_me, client)
       select (left($1, 24) || lpad(to_hex(n), 12, '0'))::uuid, (left($2, 24) || lpad(to_hex(n), 12, '0'))::uuid, now(), now(),
         now() + interval '1 day', now() + interval '10 days', false, $3
       from generate_series(0, $4::int - 1) n`,
      [idOf(group, 0), idOf(owners, 0), client, count],
    );
  await insertUsers(person, people, 'now()');
  await insertSessions(session, person, people);
  await insertUsers(newcomer, unconfirmed, 'null');
  await insertSessions(newcomersSession, newcomer, unconfirmed);
  await db.query('vacuum (analyze) users, sessions');
  await db.end();

  function tokenOf(owners: string, group: string, index: number): string {
    const name = `${nameOf(owners)}${index}`;
    const subject = { sub: idOf(owners, index), sid: idOf(group, index), username: name, email: `${name}@example.com`, role: 'user' };
    return accessTokens.mint({ ...subject, confirmed: owners === person }, client);
  }

  const bearerOf = (token: string) => ({ authorization: `Bearer ${token}`, 'user-agent': userAgent });
  return {
    bearer: (index) => bearerOf(tokenOf(person, session, index)),
    cookie: (index) => ({ cookie: `${sessionCookies.access}=${tokenOf(person, session, index)}`, 'user-agent': userAgent }),
    refresh: (index, counter) => ({
      method: 'POST',
      path: '/auth/refresh',
      headers: json,
      body: JSON.stringify({ refreshToken: refreshTokens.mint({ sessionId: idOf(session, index), counter }) }),
    }),
    confirmation: (index) => ({
      method: 'GET',
      path: `/auth/confirm/${actionTokens.confirmation.mint(idOf(newcomer, index), `${nameOf(newcomer)}${index}@example.com`)}`,
      headers: { ...bearerOf(tokenOf(newcomer, newcomersSession, index)), accept: 'application/json' },
    }),
    login: (index) => ({
      method: 'POST',
      path: '/auth/login',
      headers: json,
      body: JSON.stringify({ email: `${nameOf(person)}${index}@example.com`, password }),
    }),
    close: () => app.close(),
  };
}

/** Of the accounts of a group; the number is added. */
function nameOf(group: string): string {
  return group === person ? 'ada' : 'eve';
}
