import fc from 'fast-check';
import t from 'tap';
import { resetRequests } from '../../src/db/schema.ts';
import {
  type Account,
  accessMs,
  addressOf,
  assert,
  assertInvariants,
  holderOf,
  idleMs,
  keepLink,
  type Link,
  linkMs,
  lives,
  type Model,
  newPassword,
  passTime,
  type Session,
  type World,
  works,
} from '../support/account-model.ts';
import { eventually } from '../support/eventually.ts';
import { holdClock, outboxEmpty } from '../support/held-clock.ts';
import { startService } from '../support/service.ts';
import { openTables } from '../support/tables.ts';

type Command = fc.AsyncCommand<Model, World>;
type Act = (model: Model, world: World) => Promise<void>;

/** A command that does something, whatever has happened before, and looks at everything afterwards. */
function command(name: string, act: Act, isPossible = (_: Model) => true): Command {
  return {
    check: isPossible,
    async run(model, world) {
      await passTime(model, world, 1000);
      await act(model, world);
      await assertInvariants(model, world);
    },
    toString: () => name,
  };
}

/** A command with a session that may be dead or out of date; one that only has to be refreshed is refreshed. */
function withSession(name: string, index: number, act: (model: Model, world: World, session: Session, isIn: boolean) => Promise<void>) {
  return command(
    `${name} with session ${index}`,
    async (model, world) => {
      const session = model.sessions[index % model.sessions.length] as Session;
      const isIn = lives(session, model.now);
      if (isIn && model.now >= session.accessEnd) await refresh(session, model, world);
      await act(model, world, session, isIn);
    },
    ({ sessions }) => sessions.length > 0,
  );
}

async function refresh(session: Session, { now }: Model, { service }: World): Promise<void> {
  const { status, body } = await service.post('/auth/refresh', { refreshToken: session.refreshToken });
  assert(status === 200, `a refresh is answered ${status}`);
  Object.assign(session, tokensOf(body, now));
}

function tokensOf({ accessToken, refreshToken }: { accessToken: string; refreshToken: string }, now: number) {
  return { accessToken, refreshToken, accessEnd: Math.floor(now / 1000) * 1000 + accessMs, idleEnd: now + idleMs };
}

function endSessions({ sessions }: Model, owner: Account, but?: Session): void {
  for (const session of sessions) if (session.owner === owner && session !== but) session.ended = true;
}

const register = (where: number, name: number) =>
  command(`register person${where} as name${name}`, async (model, world) => {
    const details = { email: addressOf(model, where), username: `name${name}_run${model.run}`, password: newPassword(model) };
    const isTaken = model.accounts.some(
      (account) => account.alive && (account.address === details.email || account.name === details.username),
    );
    const { status } = await world.service.post('/auth/register', details);
    assert(status === (isTaken ? 409 : 201), `registration is answered ${status}`);
    if (isTaken) return;
    const account = { address: details.email, name: details.username, password: details.password, confirmed: false, alive: true };
    model.accounts.push({ ...account, version: 1, pending: undefined });
    await keepLink(model, world, model.accounts.at(-1) as Account, 'confirm', details.email);
  });

const logIn = (index: number, isRight: boolean) =>
  command(
    `log in ${isRight ? '' : 'wrongly '}to account ${index}`,
    async (model, { service }) => {
      const owner = model.accounts[index % model.accounts.length] as Account;
      const password = isRight ? owner.password : 'somebody else’s password';
      const { status, body } = await service.post('/auth/login', { username: owner.name, password });
      const holder = model.accounts.find(({ alive, name }) => alive && name === owner.name);
      const expected = isRight && holder?.password === password ? 200 : 401;
      assert(status === expected, `login is answered ${status}, not ${expected}`);
      if (status === 200) model.sessions.push({ owner, ended: false, ...tokensOf(body, model.now) });
    },
    ({ accounts }) => accounts.length > 0,
  );

const logOut = (index: number) =>
  withSession('log out', index, async (_model, { service }, session, isIn) => {
    const { status } = await service.post('/auth/logout', undefined, { token: session.accessToken });
    assert(status === (isIn ? 204 : 401), `logout is answered ${status}`);
    session.ended = true;
  });

const change = (index: number) =>
  withSession('change the password', index, async (model, { service }, session, isIn) => {
    const { owner, accessToken } = session;
    const next = newPassword(model);
    const body = { currentPassword: owner.password, newPassword: next };
    const { status } = await service.request('PUT', '/auth/password', { token: accessToken, body });
    assert(status === (isIn ? 204 : 401), `a password change is answered ${status}`);
    if (!isIn) return;
    Object.assign(owner, { password: next, version: owner.version + 1, pending: undefined });
    endSessions(model, owner, session);
  });

const forget = (where: number) =>
  command(`forget the password of person${where}`, async (model, world) => {
    const address = addressOf(model, where);
    const { status } = await world.service.post('/auth/password/forgot', { email: address });
    assert(status === 202, `a forgotten password is answered ${status}`);
    const owner = holderOf(model, address);
    if (owner !== undefined) await keepLink(model, world, owner, 'password/reset', address);
    else await eventually('it has been looked at', async () => (await world.tables.$count(resetRequests)) === 0);
  });

const askForAddress = (index: number, where: number) =>
  withSession(`ask for the address of person${where}`, index, async (model, world, session, isIn) => {
    const { owner, accessToken } = session;
    const newEmail = addressOf(model, where);
    const { status } = await world.service.post('/auth/email', { newEmail, password: owner.password }, { token: accessToken });
    const expected = !isIn ? 401 : holderOf(model, newEmail) ? 409 : 202;
    assert(status === expected, `an address change is answered ${status}, not ${expected}`);
    if (status !== 202) return;
    model.requests += 1;
    owner.pending = { address: newEmail, request: model.requests };
    await keepLink(model, world, owner, 'email/confirm', newEmail);
  });

const remove = (index: number) =>
  withSession('delete the account', index, async (model, { service }, session, isIn) => {
    const { owner, accessToken } = session;
    const { status } = await service.post('/auth/me/deletion', { password: owner.password }, { token: accessToken });
    assert(status === (isIn ? 204 : 401), `a deletion is answered ${status}`);
    if (!isIn) return;
    owner.alive = false;
    endSessions(model, owner);
  });

/** Follows a link, new or old, with the password of its account or with another one; a reset sets a new one. */
const follow = (index: number, isOwner: boolean) =>
  command(
    `follow link ${index}${isOwner ? '' : ' with a wrong password'}`,
    async (model, world) => {
      // From the newest on: those are more likely to work.
      const link = model.links.at(-1 - (index % model.links.length)) as Link;
      return link.purpose === 'password/reset' ? reset(link, model, world) : confirm(link, isOwner, model, world);
    },
    ({ links }) => links.length > 0,
  );

async function reset(link: Link, model: Model, { service }: World): Promise<void> {
  const { owner, token } = link;
  const isAlive = works(link, model);
  const next = newPassword(model);
  const { status } = await service.post('/auth/password/reset', { token, newPassword: next });
  assert(isAlive ? status === 204 : [400, 410].includes(status), `a reset is answered ${status}`);
  if (!isAlive) return;
  Object.assign(owner, { password: next, version: owner.version + 1, pending: undefined, confirmed: true });
  endSessions(model, owner);
}

async function confirm(link: Link, isOwner: boolean, model: Model, { service }: World): Promise<void> {
  const { purpose, owner, token } = link;
  const isAlive = works(link, model);
  const password = isOwner ? owner.password : 'somebody else’s password';
  const { status } = await service.post(`/auth/${purpose}`, { token, password });
  if (!isAlive) return assert([400, 410].includes(status), `a dead link (${purpose}) is answered ${status}`);
  const isTaken = purpose === 'email/confirm' && holderOf(model, owner.pending?.address ?? '') !== undefined;
  const expected = !isOwner ? 401 : isTaken ? 409 : 200;
  assert(status === expected, `a link (${purpose}) is answered ${status}, not ${expected}`);
  if (status !== 200) return;
  owner.confirmed = true;
  if (purpose === 'email/confirm') {
    Object.assign(owner, { address: owner.pending?.address, version: owner.version + 1, pending: undefined });
  }
}

const wait = (milliseconds: number) => command(`wait(${milliseconds})`, (model, world) => passTime(model, world, milliseconds));

const any = fc.nat({ max: 5 });
const place = fc.nat({ max: 3 });
const newOnes = fc.constantFrom(0, 0, 0, 1, 1, 2, 3, 4);
const follows = fc.tuple(newOnes, fc.constantFrom(true, true, true, false)).map(([index, isOwner]) => follow(index, isOwner));
/** Those that come more than once come more often. */
const commands = fc.commands(
  [
    fc.tuple(place, fc.nat({ max: 2 })).map(([where, name]) => register(where, name)),
    fc.tuple(any, fc.constantFrom(true, true, false)).map(([index, isRight]) => logIn(index, isRight)),
    fc.tuple(any, fc.constant(true)).map(([index, isRight]) => logIn(index, isRight)),
    follows,
    follows,
    follows,
    any.map(change),
    fc.constantFrom(0, 0, 1, 2).map(forget),
    fc.constantFrom(0, 0, 1, 2).map(forget),
    fc.tuple(any, place).map(([index, where]) => askForAddress(index, where)),
    fc.tuple(any, place).map(([index, where]) => askForAddress(index, where)),
    any.map(logOut),
    any.map(remove),
    fc.constantFrom(accessMs, linkMs - 2000, linkMs, idleMs).map(wait),
  ],
  { maxCommands: 24, size: 'max' },
);

t.test('whatever is done to accounts, no spent link and no dead session works, and the unconfirmed stay out', async (t) => {
  const service = await startService(t, { RATE_LIMIT: 'off' });
  const world: World = { service, tables: openTables(t, service) };
  let [run, steps] = [0, 0];
  const property = fc.asyncProperty(commands, async (sequence) => {
    await outboxEmpty(world.tables);
    run += 1;
    const now = service.clock.now().getTime();
    holdClock(service.clock, new Date(now));
    // Somebody is there to begin with.
    const start = [register(0, 0), logIn(0, true)];
    const model: Model = { accounts: [], sessions: [], links: [], run, now, requests: 0 };
    await fc.asyncModelRun(() => ({ model, real: world }), [...start, ...sequence]);
    steps += [...sequence].length;
  });
  const details = await fc.check(property, { numRuns: 16, seed: 20_261_121, endOnFailure: true });
  t.notOk(details.failed, fc.defaultReportMessage(details) ?? `${steps} commands`);
  t.ok(steps > 100, `enough is tried: ${steps} commands`);
});
