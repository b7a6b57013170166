import fc from 'fast-check';
import t from 'tap';
import type { ManualClock } from '../support/clock.ts';
import { holdClock, outboxEmpty } from '../support/held-clock.ts';
import { confirmedPerson, type Person, register } from '../support/person.ts';
import { startService } from '../support/service.ts';
import { openTables } from '../support/tables.ts';

/** What must be true of a session, whatever the service thinks. Its refresh tokens are in the order of their making. */
interface Session {
  readonly id: string;
  readonly owner: number;
  readonly refreshTokens: string[];
  readonly accessTokens: { readonly token: string; readonly diesAt: number }[];
  rotatedAt: number | undefined;
  idleEnd: number;
  ended: boolean;
}

interface Model {
  readonly sessions: Session[];
  now: number;
}

type Command = fc.AsyncCommand<Model, World>;

/** The service, and what it has answered. */
interface World {
  readonly send: (method: 'GET' | 'POST' | 'DELETE', url: string, token?: string, body?: unknown) => ReturnType<Service['request']>;
  readonly people: readonly Person[];
  readonly clock: ManualClock;
}
type Service = Awaited<ReturnType<typeof startService>>;

const graceMs = 10_000;
const accessMs = 300_000;
const idleMs = 24 * 3600_000;

const lives = ({ ended, idleEnd }: Session, now: number) => !ended && now < idleEnd;
/** An access token that has not run out; the guard must decide by its session. */
const currentToken = ({ accessTokens }: Session, now: number) => accessTokens.findLast(({ diesAt }) => now < diesAt)?.token;

function assert(isTrue: boolean, what: string): void {
  if (!isTrue) throw new Error(what);
}

function keepTokens(session: Session, { accessToken, refreshToken }: { accessToken: string; refreshToken: string }, now: number): void {
  session.accessTokens.push({ token: accessToken, diesAt: Math.floor(now / 1000) * 1000 + accessMs });
  if (session.refreshTokens.at(-1) !== refreshToken) session.refreshTokens.push(refreshToken);
}

/** Exactly the tokens of living sessions work; asking with those that should not work must change nothing. */
async function assertInvariants({ sessions, now }: Model, { send, people }: World): Promise<void> {
  for (const session of sessions) {
    const isLive = lives(session, now);
    for (const { token, diesAt } of session.accessTokens) {
      const expected = isLive && now < diesAt ? 200 : 401;
      const { status } = await send('GET', '/auth/me', token);
      assert(status === expected, `an access token of session ${session.id} is answered ${status}, not ${expected}`);
    }
    if (isLive) continue;
    for (const refreshToken of session.refreshTokens) {
      const { status } = await send('POST', '/auth/refresh', undefined, { refreshToken });
      assert(status === 401, `a refresh token of the dead session ${session.id} is answered ${status}`);
    }
  }
  for (const owner of people.keys()) {
    const own = sessions.filter((session) => session.owner === owner && lives(session, now));
    const token = own.map((session) => currentToken(session, now)).find((each) => each !== undefined);
    if (token === undefined) continue;
    const listed = (await send('GET', '/auth/sessions', token)).body.sessions.map(({ id }: { id: string }) => id);
    assert(
      same(
        listed,
        own.map(({ id }) => id),
      ),
      `listed are ${listed}, not ${own.map(({ id }) => id)}`,
    );
  }
}

const same = (one: string[], other: string[]) => one.toSorted().join() === other.toSorted().join();

/** A command that does something, whatever has happened before, and looks at everything afterwards. */
function command(name: string, act: (model: Model, world: World) => Promise<void>, isPossible = (_: Model) => true): Command {
  return {
    check: isPossible,
    async run(model, world) {
      // The database's clock does not stand: what has passed since the last command has not.
      holdClock(world.clock, new Date(model.now));
      await act(model, world);
      await assertInvariants(model, world);
    },
    toString: () => name,
  };
}

/** A command about one of the sessions that there have been, alive or dead. */
function onSession(name: string, index: number, act: (model: Model, world: World, session: Session) => Promise<void>): Command {
  const pick = ({ sessions }: Model) => sessions[index % sessions.length] as Session;
  return command(
    `${name}(${index})`,
    (model, world) => act(model, world, pick(model)),
    ({ sessions }) => sessions.length > 0,
  );
}

const logIn = (owner: number) =>
  command(`logIn(${owner})`, async ({ sessions, now }, { send, people }) => {
    const { email, password } = people[owner] as Person;
    const { status, body } = await send('POST', '/auth/login', undefined, { email, password });
    assert(status === 200, `login answered ${status}`);
    const session = { id: body.session.id, owner, refreshTokens: [], accessTokens: [], rotatedAt: undefined, idleEnd: now + idleMs };
    sessions.push({ ...session, ended: false });
    keepTokens(sessions.at(-1) as Session, body, now);
  });

/** Refreshes with the newest token (0), with the one before it (1), or with an older one. */
const refresh = (index: number, age: number) =>
  onSession(`refresh -${age}`, index, async ({ now }, { send }, session) => {
    const { refreshTokens, rotatedAt } = session;
    const at = Math.max(0, refreshTokens.length - 1 - age);
    const isNewest = at === refreshTokens.length - 1;
    const isTwin = at === refreshTokens.length - 2 && rotatedAt !== undefined && now - rotatedAt < graceMs;
    const works = lives(session, now) && (isNewest || isTwin);
    const { status, body } = await send('POST', '/auth/refresh', undefined, { refreshToken: refreshTokens[at] });
    assert(status === (works ? 200 : 401), `refresh -${age} of session ${session.id} is answered ${status}`);
    if (!works) {
      session.ended = true;
      return;
    }
    assert(isNewest ? !refreshTokens.includes(body.refreshToken) : body.refreshToken === refreshTokens.at(-1), 'it is another successor');
    keepTokens(session, body, now);
    if (!isNewest) return;
    session.rotatedAt = now;
    session.idleEnd = now + idleMs;
  });

/** Sends a request with a session's access token, and tells whether the guard should have let it in. */
async function sendAs(session: Session, { now }: Model, { send }: World, method: 'POST' | 'DELETE', url: string) {
  const token = currentToken(session, now) ?? session.accessTokens[0]?.token;
  const isIn = lives(session, now) && currentToken(session, now) !== undefined;
  const { status } = await send(method, url, token);
  return { status, isIn };
}

const logOut = (index: number) =>
  onSession('logOut', index, async (model, world, session) => {
    const { status, isIn } = await sendAs(session, model, world, 'POST', '/auth/logout');
    assert(status === (isIn ? 204 : 401), `logout is answered ${status}`);
    if (isIn) session.ended = true;
  });

const endOne = (index: number, other: number) =>
  onSession(`end ${other} as`, index, async (model, world, session) => {
    const target = model.sessions[other % model.sessions.length] as Session;
    const { status, isIn } = await sendAs(session, model, world, 'DELETE', `/auth/sessions/${target.id}`);
    // One that has grown idle is there still, and may be ended; the answer is all the same to its owner.
    const isThere = target.owner === session.owner && !target.ended;
    const expected = !isIn ? [401] : lives(target, model.now) && isThere ? [204] : isThere ? [204, 404] : [404];
    assert(expected.includes(status), `the end of a session is answered ${status}, not ${expected}`);
    if (status === 204) target.ended = true;
  });

const endOthers = (index: number) =>
  onSession('endOthers', index, async (model, world, session) => {
    const { status, isIn } = await sendAs(session, model, world, 'DELETE', '/auth/sessions');
    assert(status === (isIn ? 204 : 401), `the end of all others is answered ${status}`);
    if (!isIn) return;
    for (const other of model.sessions) if (other.owner === session.owner && other !== session) other.ended = true;
  });

const wait = (milliseconds: number) =>
  command(`wait(${milliseconds})`, async (model, { clock }) => {
    model.now += milliseconds;
    holdClock(clock, new Date(model.now));
  });

const anySession = fc.nat({ max: 3 });
const refreshes = fc.tuple(anySession, fc.constantFrom(0, 0, 1, 1, 1, 2)).map(([index, age]) => refresh(index, age));
/** By more than a request takes: it is the database that measures, whose clock does not stand. */
const shortWaits = fc.constantFrom(graceMs - 3000, graceMs + 3000).map(wait);
const longWaits = fc.constantFrom(accessMs - 1000, accessMs, idleMs - 1, idleMs).map(wait);
/** Those that come twice come twice as often. */
const commands = fc.commands(
  [
    fc.nat({ max: 1 }).map(logIn),
    refreshes,
    refreshes,
    refreshes,
    shortWaits,
    shortWaits,
    longWaits,
    anySession.map(logOut),
    fc.tuple(anySession, anySession).map(([index, other]) => endOne(index, other)),
    anySession.map(endOthers),
  ],
  { maxCommands: 24, size: 'max' },
);

t.test('whatever is done to sessions, exactly the tokens of those that live work', async (t) => {
  const service = await startService(t);
  const { clock } = service;
  const people = [await confirmedPerson(service), await register(service)];
  await outboxEmpty(openTables(t, service));
  const send: World['send'] = (method, url, token, body) => service.request(method, url, { ...(token && { token }), body });
  let steps = 0;

  const property = fc.asyncProperty(commands, async (sequence) => {
    for (const { email, password } of people) {
      const { body } = await service.post('/auth/login', { email, password });
      await send('DELETE', '/auth/sessions', body.accessToken);
      await send('POST', '/auth/logout', body.accessToken);
    }
    const now = clock.now().getTime();
    holdClock(clock, new Date(now));
    const model: Model = { sessions: [], now };
    await fc.asyncModelRun(() => ({ model, real: { send, people, clock } }), sequence);
    steps += [...sequence].length;
  });
  const details = await fc.check(property, { numRuns: 30, seed: 20_240_607, endOnFailure: false });
  t.notOk(details.failed, fc.defaultReportMessage(details) ?? `${steps} commands`);
  t.ok(steps > 300, `enough is tried: ${steps} commands`);
});
