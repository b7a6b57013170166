import { users } from '../../src/db/schema.ts';
import { eventually } from './eventually.ts';
import { holdClock, outboxEmpty } from './held-clock.ts';
import { linksOf } from './mail-server.ts';
import type { Service } from './service.ts';
import type { openTables } from './tables.ts';

/** What must be true, whatever the service thinks. Things are never removed, so that an index always means the same. */
export interface Account {
  address: string;
  name: string;
  password: string;
  confirmed: boolean;
  alive: boolean;
  /** Changes with the password and the address. */
  version: number;
  pending: { readonly address: string; readonly request: number } | undefined;
}
export interface Session {
  readonly owner: Account;
  accessToken: string;
  refreshToken: string;
  accessEnd: number;
  idleEnd: number;
  ended: boolean;
}
export type Purpose = 'confirm' | 'password/reset' | 'email/confirm';
export interface Link {
  readonly purpose: Purpose;
  readonly token: string;
  readonly owner: Account;
  readonly end: number;
  /** The state of the account that the link depends on, when it was mailed. */
  readonly state: string;
}
export interface Model {
  readonly accounts: Account[];
  readonly sessions: Session[];
  readonly links: Link[];
  readonly run: number;
  now: number;
  requests: number;
}
export interface World {
  readonly service: Service;
  readonly tables: ReturnType<typeof openTables>;
}

export const linkMs = 3600_000;
export const accessMs = 300_000;
export const idleMs = 24 * 3600_000;
const weakPassword = 'password';

const stateOf: Readonly<Record<Purpose, (account: Account) => string>> = {
  confirm: ({ address }) => address,
  'password/reset': ({ version, address }) => `${version} ${address}`,
  'email/confirm': ({ version, pending }) => `${version} ${pending?.address} ${pending?.request}`,
};
const isFresh = ({ end }: Link, { now }: Model) => now < end;
const isOfNow = ({ purpose, owner, state }: Link) =>
  owner.alive && stateOf[purpose](owner) === state && (purpose !== 'email/confirm' || owner.pending !== undefined);
export const works = (link: Link, model: Model) => isFresh(link, model) && isOfNow(link);
export const lives = ({ ended, idleEnd, owner }: Session, now: number) => !ended && now < idleEnd && owner.alive;

export function assert(isTrue: boolean, what: string): asserts isTrue {
  if (!isTrue) throw new Error(what);
}
export const addressOf = ({ run }: Model, index: number) => `person${index}.run${run}@example.com`;
export const holderOf = ({ accounts }: Model, address: string) => accounts.find((account) => account.alive && account.address === address);
export function newPassword(model: Model): string {
  model.requests += 1;
  return `the ${model.requests}th password of run ${model.run}`;
}

/** The answer to a link from nobody, with a password that no account may have: it tells whether the link works, and uses none. */
async function probe({ purpose, token }: Link, { service }: World): Promise<string> {
  const answer =
    purpose === 'password/reset'
      ? await service.post('/auth/password/reset', { token, newPassword: weakPassword })
      : await service.get(`/auth/${purpose}/${token}`);
  return answer.body.code;
}

export async function assertInvariants(model: Model, world: World): Promise<void> {
  const { service, tables } = world;
  for (const link of model.links) {
    const alive = link.purpose === 'password/reset' ? 'weak_password' : 'unauthenticated';
    const code = await probe(link, world);
    assert((code === alive) === works(link, model), `a link (${link.purpose}) of ${link.owner.name} is answered ${code}`);
  }
  for (const session of model.sessions) {
    const { owner, accessToken, accessEnd } = session;
    const isIn = lives(session, model.now) && model.now < accessEnd;
    const me = (await service.get('/auth/me', { token: accessToken })).status;
    assert(me === (isIn ? 200 : 401), `a session of ${owner.name} is answered ${me}`);
    const secret = (await service.get('/secret', { token: accessToken })).status;
    assert(secret === (isIn ? (owner.confirmed ? 200 : 403) : 401), `the secret is shown to ${owner.name}: ${secret}`);
    if (lives(session, model.now)) continue;
    const refresh = await service.post('/auth/refresh', { refreshToken: session.refreshToken });
    assert(refresh.status === 401, `a dead session of ${owner.name} is refreshed`);
  }
  const rows = await tables.select().from(users);
  const own = rows
    .filter(({ email }) => email.includes(`.run${model.run}@`))
    .map(({ email, username, confirmedAt }) => `${email} ${username} ${confirmedAt !== null}`);
  const expected = model.accounts.filter(({ alive }) => alive).map(({ address, name, confirmed }) => `${address} ${name} ${confirmed}`);
  assert(own.sort().join() === expected.sort().join(), `there are ${own}, not ${expected}`);
}

/** Keeps the link of the mail that is on its way to an address; the clock stands still meanwhile. */
export async function keepLink(model: Model, { service }: World, owner: Account, purpose: Purpose, address: string): Promise<void> {
  const known = new Set(model.links.map(({ token }) => token));
  const prefix = `/auth/${purpose}/`;
  let token: string | undefined;
  await eventually(`a mail to ${address} with a link to ${purpose}`, () => {
    const mails = service.mailServer.received.filter(({ recipients }) => recipients.includes(address));
    const tokens = mails
      .flatMap(linksOf)
      .filter((link) => link.includes(prefix))
      .map((link) => link.split(prefix)[1]);
    token = tokens.find((each) => each !== undefined && !known.has(each));
    return token !== undefined;
  });
  const end = Math.floor(model.now / 1000) * 1000 + linkMs;
  model.links.push({ purpose, token: token as string, owner, end, state: stateOf[purpose](owner) });
}

/** Moves the clock to where the model is: always by some, so that no two links are the same. */
export async function passTime(model: Model, { service, tables }: World, milliseconds: number): Promise<void> {
  await outboxEmpty(tables);
  model.now += milliseconds;
  holdClock(service.clock, new Date(model.now));
}
