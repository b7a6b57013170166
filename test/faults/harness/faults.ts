import { setTimeout as pause } from 'node:timers/promises';
import type { Failpoint } from '../../../src/failpoints.ts';
import type { TcpProxy } from '../../support/tcp-proxy.ts';
import type { Database } from './database.ts';
import type { Instance } from './instances.ts';
import type { Random } from './seed.ts';
import { refusedDomain, type Sink } from './sink.ts';
import type { Volume } from './volume.ts';

/** What there is to break. */
export interface Arena {
  readonly instances: readonly Instance[];
  readonly database: Database;
  readonly volume: Volume | { readonly missing: string };
  readonly sink: Sink;
  readonly random: Random;
  /** Has somebody register with an address there. */
  readonly registerAt: (domain: string) => Promise<unknown>;
}

interface Fault {
  /** Whether somebody who has sent a mail may not hear that it was taken. */
  readonly leavesDataUnanswered?: true;
  /** Whether it only keeps PostgreSQL from writing, so that nobody who reads need notice. */
  readonly leavesReads?: true;
  /** Breaks something, and resolves when it is whole again: to false when it did not come to that. */
  inject(arena: Arena): Promise<unknown>;
}

const minute = 60_000;
/** How long what lasts does: shorter or longer than the service waits for the database, which is 4 s. */
const lasting = ({ between }: Random) => pause(between(3000, 6000));

/** The connections of one of the instances, or of all of them. */
function someLinks({ instances, random }: Arena, to: keyof Instance['links']): TcpProxy[] {
  const victims = random.chance(0.5) ? instances : [random.pick(instances)];
  return victims.map(({ links }) => links[to]);
}

/** Answers whether anything that was under way has met what was broken meanwhile. */
async function hitting(counters: readonly { hits(): number }[], work: () => Promise<unknown>): Promise<boolean> {
  const count = () => counters.reduce((sum, counter) => sum + counter.hits(), 0);
  const before = count();
  await work();
  return count() > before;
}

async function cut(arena: Arena, to: keyof Instance['links']): Promise<boolean> {
  const links = someLinks(arena, to);
  return hitting(links, () => cutAgain(arena, links));
}

async function cutAgain(arena: Arena, links: readonly TcpProxy[]): Promise<void> {
  for (let times = arena.random.between(3, 8); times > 0; times -= 1) {
    for (const link of links) link.cut();
    await pause(arena.random.between(100, 800));
  }
}

async function obstruct(arena: Arena, to: keyof Instance['links'], how: (link: TcpProxy) => void, forMs?: number): Promise<boolean> {
  const links = someLinks(arena, to);
  return hitting(links, async () => {
    for (const link of links) how(link);
    await (forMs === undefined ? lasting(arena.random) : pause(forMs));
    for (const link of links) link.restore();
  });
}

function refuse({ sink, random }: Arena, faults: Parameters<Sink['fail']>[0]): Promise<boolean> {
  return hitting([sink], async () => {
    sink.fail(faults);
    await lasting(random);
    sink.fail({});
  });
}

async function fillDisk({ database, volume }: Arena, meanwhile: () => Promise<unknown>): Promise<void> {
  if ('missing' in volume) return;
  await volume.fill();
  await meanwhile();
  await volume.free();
  await database.revive();
}

const crashAfter = ({ instances, random }: Arena, point: Failpoint) => random.pick(instances).crashAfter(point);
const blackHole = (link: TcpProxy) => link.blackHole();
const delay = (link: TcpProxy) => link.delay(300);

/** Every kind of fault, by its name. */
export const faults = {
  'instance: kill -9': { inject: ({ instances, random }) => random.pick(instances).kill() },
  'instance: kill -9 after the insert of an account': { inject: (arena) => crashAfter(arena, 'account inserted') },
  'instance: kill -9 after the commit of an account': { inject: (arena) => crashAfter(arena, 'account committed') },
  'instance: kill -9 after the claim of a mail': { inject: (arena) => crashAfter(arena, 'mail claimed') },
  'instance: kill -9 after the 250 for a mail': { inject: (arena) => crashAfter(arena, 'mail accepted') },
  'instance: SIGSTOP': {
    async inject({ instances, random }) {
      const victim = random.pick(instances);
      victim.freeze();
      await lasting(random);
      victim.thaw();
    },
  },
  'instance: clock off by 5 minutes': {
    async inject({ instances, random }) {
      const victim = random.pick(instances);
      await victim.kill(random.pick([-5, 5]) * minute);
      await lasting(random);
      await victim.kill();
    },
  },
  'postgres: restart fast': { inject: ({ database }) => database.primary().restart('fast') },
  'postgres: restart immediate': { inject: ({ database }) => database.primary().restart('immediate') },
  'postgres: kill -9 of the postmaster': {
    async inject({ database, random }) {
      await database.primary().kill();
      await pause(random.between(0, 2000));
      await database.revive();
    },
  },
  'postgres: failover to the synchronous standby': {
    async inject({ database, instances, random }) {
      const links = instances.map((instance) => instance.links.postgres);
      await database.failOver(random.between(2000, 4000));
      for (const link of links) link.redirect(database.primary().port);
    },
  },
  'postgres: connections cut': { inject: (arena) => cut(arena, 'postgres') },
  'postgres: delayed by 300 ms each way': { inject: (arena) => obstruct(arena, 'postgres', delay) },
  // Long enough for an instance to learn nothing of what the other one has ended.
  'postgres: black hole': { inject: (arena) => obstruct(arena, 'postgres', blackHole, arena.random.between(6000, 10_000)) },
  'postgres: disk full': {
    leavesReads: true,
    inject: (arena) => fillDisk(arena, () => lasting(arena.random)),
  },
  'postgres: disk full, its log included': {
    inject: (arena) =>
      fillDisk(arena, async () => {
        // Until there are no segments left to be used again: without another one, it ends.
        for (let times = arena.random.between(6, 10); times > 0; times -= 1) {
          await arena.database
            .primary()
            .query('select pg_switch_wal()')
            .catch(() => {});
          await pause(500);
        }
      }),
  },
  'postgres: read-only': {
    leavesReads: true,
    async inject({ database, random }) {
      const { query } = database.primary();
      await query('alter system set default_transaction_read_only = on', 'select pg_reload_conf()');
      await lasting(random);
      await query('alter system reset default_transaction_read_only', 'select pg_reload_conf()');
    },
  },
  'postgres: users locked': {
    inject: ({ database }) =>
      database.primary().query('begin', 'lock table users in access exclusive mode', 'select pg_sleep(5)', 'rollback'),
  },
  'smtp: connections cut': { leavesDataUnanswered: true, inject: (arena) => cut(arena, 'smtp') },
  'smtp: delayed by 300 ms each way': { inject: (arena) => obstruct(arena, 'smtp', delay) },
  'smtp: black hole': { inject: (arena) => obstruct(arena, 'smtp', blackHole) },
  'smtp: 421 to every sender': { inject: (arena) => refuse(arena, { sender: 421 }) },
  'smtp: 451 to every recipient': { inject: (arena) => refuse(arena, { recipient: () => 451 }) },
  'smtp: 550 to one recipient': {
    async inject(arena) {
      const refusal = refuse(arena, { recipient: (address) => (address.endsWith(`@${refusedDomain}`) ? 550 : undefined) });
      const [hasHit] = await Promise.all([refusal, arena.registerAt(refusedDomain)]);
      return hasHit;
    },
  },
  'smtp: hangs after DATA, and never answers': {
    leavesDataUnanswered: true,
    inject({ random, sink }) {
      return hitting([sink], async () => {
        const hold = lasting(random);
        sink.fail({ hold, message: () => 'reset' });
        await hold;
        // Until those that were held have been dropped.
        await pause(300);
        sink.fail({});
      });
    },
  },
} as const satisfies Readonly<Record<string, Fault>>;

export type FaultKind = keyof typeof faults;
export const faultKinds = Object.keys(faults) as FaultKind[];

/** Why a kind of fault cannot be had here; undefined when it can. */
export function whyNot(kind: FaultKind, { volume }: Pick<Arena, 'volume'>): string | undefined {
  return kind.startsWith('postgres: disk full') && 'missing' in volume ? volume.missing : undefined;
}

/** What a kind of fault breaks: two of the same are never broken at the same time. */
const target = (kind: FaultKind) => kind.split(':')[0];

/** Kinds that may come with another in its turn: none that would hide what is asserted of it. */
export function companionsOf(kind: FaultKind): FaultKind[] {
  return faultKinds.filter((other) => target(other) !== target(kind) && !(leavesReads(kind) && target(other) === 'instance'));
}

export function leavesReads(kind: FaultKind): boolean {
  return (faults[kind] as Fault).leavesReads ?? false;
}

export function leavesDataUnanswered(kind: FaultKind): boolean {
  return (faults[kind] as Fault).leavesDataUnanswered ?? false;
}
