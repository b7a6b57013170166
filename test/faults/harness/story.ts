import { setTimeout as pause } from 'node:timers/promises';
import type { Graveyard } from './graveyard.ts';
import type { History } from './history.ts';
import { confirmationPath, type Deeds, type Person, type Session } from './people.ts';
import type { Random } from './seed.ts';
import type { Wire } from './wire.ts';

export interface Scene {
  readonly deeds: Deeds;
  readonly graveyard: Graveyard;
  readonly history: Pick<History, 'now'>;
  readonly random: Random;
  readonly wire: Wire;
  readonly isOver: () => boolean;
}

/** An access token is not used for longer, of the five minutes that it has. */
const renewedAfterMs = 200_000;
const readPauseMs = 250;

/** Between two requests of one person. */
const think = (random: Random) => pause(random.between(100, 500));

/**
 * Two people want one user name at the same time, by other letters.
 *
 * @returns who of them has an account
 */
export async function compete({ deeds }: Pick<Scene, 'deeds'>, rivals: readonly [Person, Person]): Promise<Person[]> {
  const [first, second] = await Promise.all([deeds.register(rivals[0]), deeds.register(rivals[1], (name) => name.toUpperCase())]);
  return rivals.filter((_, index) => (index === 0 ? first : second));
}

/**
 * Reads again and again, in a session that lives: the guard alone has to answer, which knows how to without writing.
 *
 * @param person one with an account
 */
export async function keepReading(scene: Scene, person: Person): Promise<void> {
  const { deeds, history, isOver } = scene;
  if (!(await follow(scene, person))) return;
  let session: Session | undefined;
  let since = 0;
  while (!isOver()) {
    if (session === undefined || history.now() - since > renewedAfterMs) {
      session = await deeds.logIn(person);
      since = history.now();
    }
    if (session && (await deeds.read(person, session)).outcome === 'fail') session = undefined;
    await pause(readPauseMs);
  }
}

/**
 * Lives through the life of one person: registers, logs in, confirms, uses the account, forgets the password, and leaves.
 *
 * @returns whether there is an account
 */
export async function live(scene: Scene, person: Person): Promise<boolean> {
  const { deeds, graveyard, random } = scene;
  // Some press the button twice, the second time with other letters.
  const tries = [deeds.register(person), ...(random.chance(0.1) ? [deeds.register(person, (name) => name.toUpperCase())] : [])];
  if (!(await Promise.all(tries)).includes(true)) return false;
  await think(random);
  const session = await deeds.logIn(person);
  if (session) await deeds.read(person, session);
  if (random.chance(0.2)) {
    if (session) graveyard.keepOut(person, session);
    return true;
  }

  if (await follow(scene, person)) await stay(scene, person, session);
  return true;
}

/** Answers whether the link came and confirmed. */
async function follow({ deeds, random }: Scene, person: Person): Promise<boolean> {
  const token = await deeds.mailedToken(person, confirmationPath);
  if (token === undefined || !(await deeds.confirm(person, token))) return false;
  // Some follow the link twice.
  if (random.chance(0.2)) await deeds.confirm(person, token);
  return true;
}

/** Uses the account for a while, and leaves. */
async function stay(scene: Scene, person: Person, first: Session | undefined): Promise<void> {
  const { deeds, random, wire, isOver } = scene;
  let session = first;
  for (let rounds = random.between(2, 6); rounds > 0 && !isOver(); rounds -= 1) {
    session = session && (await use(scene, person, session));
    session ??= await deeds.logIn(person);
    if (session) await deeds.read(person, session);
    await think(random);
  }
  if (random.chance(0.1)) await wire.send({ operation: 'read as a stranger', person: person.email, method: 'GET', path: '/secret' });
  if (random.chance(0.1)) await guess(scene, person);
  if (session) await leave(scene, person, session);
}

/** Answers the session when it goes on. */
async function use(scene: Scene, person: Person, session: Session): Promise<Session | undefined> {
  const { deeds, graveyard, random } = scene;
  if (random.chance(0.4)) return (await deeds.refresh(person, session)) === undefined ? undefined : session;
  if (random.chance(0.3)) {
    if (await deeds.logOut(person, session)) graveyard.burySession(person, session);
    return undefined;
  }
  return random.chance(0.15) ? forget(scene, person, session) : session;
}

/** Once in a life, so that no mail of an earlier time is under way. */
async function forget({ deeds, graveyard }: Scene, person: Person, session: Session): Promise<Session | undefined> {
  const former = person.password;
  if (former.startsWith('another')) return session;
  const token = await deeds.reset(person, `another ${former}`);
  if (token === undefined) return session;
  graveyard.burySession(person, session);
  graveyard.buryPassword(person, former);
  graveyard.buryResetToken(person, token);
  return undefined;
}

async function guess({ wire }: Scene, { email }: Person): Promise<void> {
  const body = { email, password: 'what somebody else would guess' };
  await wire.send({ operation: 'log in with a wrong password', person: email, method: 'POST', path: '/auth/login', body });
}

/** Some log out; others leave a session behind, of which a thief has an old refresh token. */
async function leave({ deeds, graveyard, history, random }: Scene, person: Person, session: Session): Promise<void> {
  if (random.chance(0.5)) {
    if (await deeds.logOut(person, session)) graveyard.burySession(person, session);
    return;
  }
  const spent = await deeds.refresh(person, session);
  if (spent !== undefined) graveyard.buryRefreshToken(person, session, spent, history.now());
}
