import type { Evidence } from './evidence.ts';
import { groupBy } from './group.ts';
import type { Entry } from './history.ts';
import { isOfLoad } from './load.ts';
import type { Injected } from './nemesis.ts';
import { confirmationPath } from './people.ts';
import type { Server } from './server.ts';
import type { Assertion } from './verdict.ts';

/** What is to be seen of a raid, beside what every run shows. */
export interface RaidObserved {
  readonly evidence: Pick<Evidence, 'history' | 'accounts' | 'copies' | 'deaths'>;
  readonly kills: readonly Injected[];
  readonly rounds: number;
  /** How often each mail was taken to be sent, by its id. */
  readonly attempts: ReadonlyMap<string, number>;
  readonly perSecond: number;
  /** How many of the load were at it at the same time, at most. */
  readonly mostUnderWay: number;
  /** How many of the load had no mail at the end. */
  readonly withoutMail: number;
}

/** After the last kill was made good, or the registration if that comes later: the lease of one that died lasts 55 s. */
const mailedWithinMs = 60_000;
/** Of all mails, however many were killed, at least so many come within that of their registration. */
const mailedInTime = 0.5;
/** What comes sooner again than a lease ends was not left behind by one that has died. */
const soonestAgainMs = 50_000;
/** After a mail was taken, within this, its sender has noted it or died. */
const notedWithinMs = 5000;
/** Of the requests that begin each second, at least so many are answered. */
const keptUp = 0.95;

export async function readAttempts({ query }: Pick<Server, 'query'>): Promise<Map<string, number>> {
  const rows = await query('select id, attempts from mails');
  return new Map(rows.map(({ id, attempts }) => [String(id), Number(attempts)]));
}

/** What Z01 asks for beside the promises. */
export function judgeRaid(observed: RaidObserved): Assertion[] {
  const { evidence, kills, rounds, perSecond, withoutMail } = observed;
  const { accounts, history } = evidence;
  const reached = answeredPerSecond(observed);
  const again = copiesAgain(evidence);
  const acknowledged = new Set(registrations(history).map(({ person }) => person));
  const unconfirmed = accounts.filter(({ email, confirmed }) => isOfLoad(email) && acknowledged.has(email) && !confirmed);
  return [
    { what: `instances were killed ${rounds} times`, complaints: kills.length === rounds ? [] : [`it was ${kills.length} times`] },
    {
      what: `of ${perSecond} registrations and confirmations a second, at least ${keptUp * 100} % were answered`,
      complaints: reached >= perSecond * keptUp ? [] : [`${reached.toFixed(1)} a second`],
    },
    {
      what: 'every mail came within a minute of its registration, or of the last kill',
      complaints: late(observed),
    },
    {
      what: `at least ${mailedInTime * 100} % of the mails came within a minute of their registration`,
      complaints: inTime(observed) >= mailedInTime ? [] : [`${(inTime(observed) * 100).toFixed(1)} %`],
    },
    {
      what: 'there are not more copies than kills',
      complaints: again.length <= kills.length ? [] : [`${again.length} copies, ${kills.length} kills`],
    },
    {
      what: 'a copy came only after its sender was killed, and its lease was over',
      complaints: again.filter(({ isExcused }) => !isExcused).map(({ messageId, at }) => `${messageId}, at ${at}`),
    },
    {
      what: 'every link was used, and confirmed the address',
      complaints: [
        ...(withoutMail === 0 ? [] : [`${withoutMail} had no mail`]),
        ...unconfirmed.map(({ email }) => `${email} is not confirmed`),
      ],
    },
  ];
}

/** The same in figures, for people. */
export function describeRaid(observed: RaidObserved): string[] {
  const { evidence, kills, mostUnderWay, attempts } = observed;
  const again = copiesAgain(evidence);
  const perKill = Math.max(0, ...[...groupBy(again, ({ death }) => String(death)).values()].map((same) => same.length));
  const delays = mailDelays(observed).map(({ delayMs }) => delayMs);
  const retaken = [...attempts.values()].filter((count) => count > 1).length;
  const answered = loadAnswers(evidence.history);
  const [first, last] = span(kills);
  return [
    `kills: ${kills.length}, in ${((last - first) / 60_000).toFixed(1)} minutes; listening again after ${quantiles(kills.map(({ from, to }) => to - from))}`,
    `load: ${answeredPerSecond(observed).toFixed(1)} registrations and confirmations answered a second, ${answered.length} in all; at most ${mostUnderWay} under way at the same time`,
    `of them, answered by the first try: ${answered.filter(({ since, start }) => since === start).length}; from the first try to the answer: ${quantiles(answered.map(({ since, end }) => end - since))}`,
    `mails taken more than once: ${retaken}; copies: ${again.length}, at most ${perKill} for one kill`,
    `from a registration to its mail: ${quantiles(delays)}; within a minute: ${(inTime(observed) * 100).toFixed(1)} %`,
  ];
}

function span(kills: readonly Injected[]): readonly [number, number] {
  const froms = kills.map(({ from }) => from);
  const tos = kills.map(({ to }) => to);
  return kills.length === 0 ? [0, 0] : [Math.min(...froms), Math.max(...tos)];
}

function quantiles(values: readonly number[]): string {
  const sorted = values.toSorted((a, b) => a - b);
  const at = (part: number) => sorted[Math.min(sorted.length - 1, Math.floor(sorted.length * part))] ?? 0;
  return `${at(0.5)} ms (median), ${at(0.99)} ms (99 of 100), ${at(1)} ms (worst)`;
}

/** What was registered or confirmed by the load, as it was answered in the end. */
function loadAnswers(history: readonly Entry[]): Entry[] {
  return history.filter(
    ({ operation, person, outcome }) => (operation === 'register' || operation === 'confirm') && isOfLoad(person) && outcome !== 'unknown',
  );
}

function answeredPerSecond({ evidence, kills }: RaidObserved): number {
  const [first, last] = span(kills);
  const answers = loadAnswers(evidence.history).filter(({ end }) => end >= first && end <= last);
  return last === first ? 0 : answers.length / ((last - first) / 1000);
}

function registrations(history: readonly Entry[]): Entry[] {
  return history.filter(({ operation, outcome }) => operation === 'register' && outcome === 'ok');
}

/** Between each acknowledged registration and its first mail, with the id of that. */
function mailDelays({ evidence }: Pick<RaidObserved, 'evidence'>) {
  const mails = groupBy(
    evidence.copies.filter(({ link }) => link?.includes(confirmationPath)),
    ({ recipient }) => recipient,
  );
  return registrations(evidence.history).map(({ person, end }) => {
    const [mail] = mails.get(person) ?? [];
    const id = mail?.messageId.replace(/^<|@.*$/g, '');
    return { person, id, end, delayMs: mail === undefined ? Number.POSITIVE_INFINITY : Math.max(0, mail.at - end) };
  });
}

function inTime(observed: RaidObserved): number {
  const delays = mailDelays(observed);
  return delays.filter(({ delayMs }) => delayMs <= mailedWithinMs).length / delays.length;
}

/** Those who had no mail, or had it too late (I2). While instances are killed, mails wait for those that died, and for each other. */
function late(observed: RaidObserved): string[] {
  const [, lastKill] = span(observed.kills);
  return mailDelays(observed)
    .filter(({ delayMs, end }) => end + delayMs > Math.max(end, lastKill) + mailedWithinMs)
    .map(({ person, id, delayMs }) => `${person} had a mail after ${delayMs} ms, taken ${observed.attempts.get(id ?? '') ?? 0} times`);
}

/** Each copy but the first of each mail, with the death that is to blame. */
function copiesAgain({ copies, deaths }: Pick<Evidence, 'copies' | 'deaths'>) {
  return [...groupBy(copies, ({ messageId }) => messageId).values()].flatMap((same) =>
    same.slice(1).map(({ messageId, at }, index) => {
      const before = same[index]?.at ?? 0;
      const death = deaths.find((time) => time >= before - 100);
      const isExcused = death !== undefined && death <= before + notedWithinMs && at - before >= soonestAgainMs;
      return { messageId, at, death, isExcused };
    }),
  );
}
