import { findDuplicates } from './duplicates.ts';
import type { Evidence } from './evidence.ts';
import { groupBy, repeated } from './group.ts';
import type { Entry, Operation } from './history.ts';
import { judgeLinkAges } from './link-ages.ts';
import { findUnexplainedRefusals } from './refusals.ts';
import { findSessionEnds } from './session-ends.ts';

/** The promises that hold through every fault. */
export const invariants = {
  I1: 'no acknowledged registration is lost',
  I2: 'each account gets its mail, without faults in between within 3 min, and copies only for crashes and unanswered DATA',
  I3: 'no mail for what was rolled back',
  I4: 'the newest mailed link works for its hour, and what it did is kept',
  I5: 'one account per name',
  I6: 'a spent token stays spent',
  I7: 'what was revoked stays dead',
  I8: 'when in doubt, closed',
  I9: 'a client may safely retry',
} as const;
export type Invariant = keyof typeof invariants;

export interface Violation {
  readonly invariant: Invariant;
  readonly what: string;
}

/** By then, every instance knows of an ended session, or asks the database: its feed is stale after 3 s. */
const revokedWithinMs = 3500;
/** A refresh token that comes again within this, by the service's clock, is one that is tried again. */
const graceMs = 10_000;
/** A lease, and the pauses after two failures. */
const mailedWithinMs = 180_000;

/** Compares what clients saw with what the database and the mail server have; answers what cannot be. */
export function check(evidence: Evidence): Violation[] {
  return (Object.keys(rules) as Invariant[]).flatMap((invariant) => rules[invariant](evidence).map((what) => ({ invariant, what })));
}

const rules: Readonly<Record<Invariant, (evidence: Evidence) => string[]>> = {
  I1({ history, accounts }) {
    const known = new Set(accounts.map(({ email }) => email.toLowerCase()));
    const lost = [...registered(history)].filter((person) => !known.has(person));
    const lockedOut = of(history, 'log in', 'log in at the end').filter(hasFailed);
    return [...lost.map((person) => `${person} was registered, and has no account`), ...lockedOut.map(tell)];
  },

  I2(evidence) {
    const { accounts, history, copies, refused } = evidence;
    const mails = groupBy(
      copies.filter(({ link }) => link?.includes('/auth/confirm/')),
      ({ recipient }) => recipient,
    );
    const ids = (person: string) => new Set(mails.get(person)?.map(({ messageId }) => messageId)).size;
    // Whoever was not told that there is an account may have one, and be owed its mail.
    const owed = new Set([...registered(history), ...accounts.map(({ email }) => email.toLowerCase())]);
    const needy = [...owed].filter((person) => !refused.has(person));
    const late = of(history, 'register').filter(
      ({ person, outcome, end }) => outcome === 'ok' && waited(evidence, end, mails.get(person)?.[0]?.at ?? end) > mailedWithinMs,
    );
    const forgotten = of(history, 'ask for a reset').filter(
      ({ outcome, person, since }) =>
        outcome === 'ok' &&
        !copies.some(({ at, recipient, link }) => recipient === person && at >= since && link?.includes('/password/reset/')),
    );
    const surplus = findDuplicates(evidence).filter(({ excuse }) => excuse === undefined);
    return [
      ...needy.filter((person) => ids(person) === 0).map((person) => `${person} has an account, and got no mail`),
      ...needy.filter((person) => ids(person) > 1).map((person) => `${person} got ${ids(person)} mails for one registration`),
      ...late.map((entry) => `${tell(entry)}, and the mail came late`),
      ...forgotten.map((entry) => `${tell(entry)}, and no mail came`),
      ...surplus.map(({ messageId, at }) => `${messageId} came once more, for no reason, at ${at}`),
    ];
  },

  I3({ accounts, copies, mailIds }) {
    const known = new Set(accounts.map(({ email }) => email.toLowerCase()));
    const idOf = (messageId: string) => messageId.replace(/^<|@.*$/g, '');
    return copies
      .filter(({ messageId, recipient }) => !mailIds.has(idOf(messageId)) || !known.has(recipient))
      .map(({ messageId, recipient }) => `${messageId} to ${recipient} tells of what never was`);
  },

  I4({ accounts, copies, history }) {
    const ages = judgeLinkAges({ copies });
    const confirmations = of(history, 'confirm', 'confirm at the end');
    const confirmed = new Set(accounts.filter((account) => account.confirmed).map(({ email }) => email.toLowerCase()));
    const undone = confirmations.filter((entry) => isDone(entry) && !confirmed.has(entry.person));
    const outlived = confirmations.filter((entry) => isDone(entry) && ages.mustBeOver(entry));
    const firstUses = of(history, 'reset').filter(({ since, start }) => since === start);
    const refused = [...confirmations, ...firstUses].filter(
      (entry) => hasFailed(entry) && !(entry.code === 'expired_token' && ages.mayBeOver(entry)),
    );
    return [...[...refused, ...outlived].map(tell), ...undone.map((entry) => `${tell(entry)}, and the address is not confirmed`)];
  },

  I5({ history, accounts }) {
    const [emails, usernames] = [accounts.map(({ email }) => email.toLowerCase()), accounts.map(({ username }) => username.toLowerCase())];
    const registrations = of(history, 'register').filter(isDone);
    return [
      ...[...repeated(emails), ...repeated(usernames)].map((name) => `there are two accounts of ${name}`),
      ...repeated(registrations.map(({ person }) => person)).map((person) => `${person} was registered twice`),
      ...repeated(registrations.flatMap(({ username }) => username ?? [])).map((name) => `the user name ${name} was given twice`),
      ...unclaimed(history, usernames).map((name) => `two wanted the user name ${name}, and nobody has it`),
    ];
  },

  I6({ history, accounts }) {
    const resets = of(history, 'reset');
    const tokens = groupBy(resets, ({ person }) => person);
    const most = (email: string) => new Set(tokens.get(email.toLowerCase())?.map(({ token }) => token)).size;
    const spentTwice = repeated(resets.filter(isDone).map(({ token = '' }) => token));
    return [
      ...of(history, 'reset with a spent token', 'refresh with a spent token').filter(isDone).map(tell),
      ...spentTwice.map((token) => `the token ${token} has set a password twice`),
      ...accounts
        .filter(({ email, resets: count }) => count > most(email))
        .map(({ email, resets: count }) => `${email} has had ${count} resets with ${most(email)} tokens`),
    ];
  },

  I7({ history, faults }) {
    const ends = findSessionEnds({ history, faults });
    const reads = of(history, 'read', 'read with a dead session').filter(
      ({ session, start }) => start > ends.overSince(session) + revokedWithinMs,
    );
    const refreshes = of(history, 'refresh', 'refresh a dead session').filter(({ session, start }) => start > ends.overSince(session));
    return [...reads, ...refreshes, ...of(history, 'log in with an old password')].filter(isDone).map(tell);
  },

  I8({ history }) {
    const attempts = groupBy(of(history, 'confirm', 'confirm at the end', 'reset'), ({ person }) => person);
    const isUnconfirmed = ({ person, end }: Entry) => (attempts.get(person) ?? []).every(({ since }) => end < since);
    return [...of(history, 'read').filter(isUnconfirmed), ...of(history, 'read as a stranger', 'log in with a wrong password')]
      .filter(isDone)
      .map(tell);
  },

  I9(evidence) {
    const { history } = evidence;
    const ends = findSessionEnds(evidence);
    const lostSessions = of(history, 'refresh').filter(
      ({ code, session, since, end }) => code === 'invalid_refresh_token' && end - since < graceMs && !ends.mayBeOver(session, end),
    );
    const registrations = groupBy(of(history, 'register'), ({ person }) => person);
    const owners = new Map(evidence.accounts.map(({ email, username }) => [username.toLowerCase(), email.toLowerCase()]));
    const hasRival = ({ person, username = '' }: Entry) => (owners.get(username) ?? person) !== person;
    const refused = [...registrations].filter(
      ([, tries]) => tries.every(hasFailed) && tries.some((entry) => entry.status === 409 && !hasRival(entry)),
    );
    return [
      ...[...lostSessions, ...findUnexplainedRefusals(evidence)].map(tell),
      ...refused.map(([person]) => `${person} was told that the names are taken, which nobody has`),
    ];
  },
};

/** From one time to another, without the time in which something was broken; what was broken twice at once counts once. */
function waited({ faults }: Pick<Evidence, 'faults'>, from: number, to: number): number {
  let broken = 0;
  let counted = from;
  for (const fault of [...faults].sort((a, b) => a.from - b.from)) {
    const end = Math.min(to, fault.to);
    broken += Math.max(0, end - Math.max(counted, fault.from));
    counted = Math.max(counted, end);
  }
  return to - from - broken;
}

/** User names that somebody wanted, each of whom was refused, and that nobody has. */
function unclaimed(history: readonly Entry[], usernames: readonly string[]): string[] {
  const known = new Set(usernames);
  const wanted = groupBy(
    of(history, 'register').filter(({ username }) => username !== undefined),
    ({ username = '' }) => username,
  );
  return [...wanted].filter(([name, tries]) => tries.every(hasFailed) && !known.has(name)).map(([name]) => name);
}

function of(history: readonly Entry[], ...operations: readonly Operation[]): Entry[] {
  return history.filter(({ operation }) => operations.includes(operation));
}

function registered(history: readonly Entry[]): Set<string> {
  return new Set(
    of(history, 'register')
      .filter(isDone)
      .map(({ person }) => person),
  );
}

function isDone({ outcome }: Entry): boolean {
  return outcome === 'ok';
}

function hasFailed({ outcome }: Entry): boolean {
  return outcome === 'fail';
}

function tell({ operation, person, status, code = '', start }: Entry): string {
  return `${person}: "${operation}" was answered ${status} ${code}, at ${start}`;
}
