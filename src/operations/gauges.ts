import type { Gauge, Registry } from 'prom-client';
import { measureQueue } from '../mail/queue-status.ts';
import type { Services } from '../services.ts';

export type PromClient = typeof import('prom-client');

/** What is measured. */
export type Measured = Pick<Services, 'clock' | 'config' | 'db' | 'hasher' | 'mailOutage' | 'poolUse' | 'revocations' | 'telemetry'>;

/** What is in the database has no value while that is away; what the instance knows by itself is wanted then most of all. */
async function orNothing(gauge: Gauge, measure: () => Promise<void>): Promise<void> {
  try {
    await measure();
  } catch {
    gauge.remove();
  }
}

/** Asks once for all who want to know at the same time, as the gauges of one scrape do. */
function shared<Answer>(ask: () => Promise<Answer>): () => Promise<Answer> {
  let asked: Promise<Answer> | undefined;
  return () => {
    asked ??= ask().finally(() => {
      asked = undefined;
    });
    return asked;
  };
}

/** What is in the outbox, and whether it can be emptied. */
export function measureMails(prom: PromClient, registry: Registry, { clock, db, mailOutage }: Measured): void {
  const look = shared(() => measureQueue(db));
  const waitedSeconds = (since: Date | null) => (since ? Math.max(0, clock.now().getTime() - since.getTime()) / 1000 : 0);
  for (const [name, help, read] of [
    ['latchkey_mail_queued', 'Mails that wait in the outbox.', ({ queued }) => queued],
    ['latchkey_mail_failed', 'Mails that could not be delivered, of the last seven days.', ({ failed }) => failed],
    [
      'latchkey_mail_oldest_queued_seconds',
      'For how long the oldest mail in the outbox has been waiting; 0 when none is.',
      ({ oldestQueuedAt }) => waitedSeconds(oldestQueuedAt),
    ],
  ] satisfies [string, string, (queue: Awaited<ReturnType<typeof look>>) => number][]) {
    new prom.Gauge({
      name,
      help,
      registers: [registry],
      async collect() {
        await orNothing(this, async () => this.set(read(await look())));
      },
    });
  }
  gaugeOfStates(prom, registry, {
    name: 'latchkey_mail_outage',
    help: 'Whether this instance cannot send mails at the moment, and why: held (credentials, TLS or sender) or unreachable.',
    read() {
      const state = mailOutage()?.state;
      return { held: Number(state === 'held'), unreachable: Number(state === 'unreachable') };
    },
  });
}

interface Measure<Value> {
  readonly name: string;
  readonly help: string;
  /** What it is at the moment. */
  readonly read: () => Value;
}

function gauge({ Gauge }: PromClient, registry: Registry, { name, help, read }: Measure<number>): void {
  new Gauge({
    name,
    help,
    registers: [registry],
    collect() {
      this.set(read());
    },
  });
}

/** One value for each state, which make sense as a sum. */
function gaugeOfStates({ Gauge }: PromClient, registry: Registry, { name, help, read }: Measure<Readonly<Record<string, number>>>): void {
  new Gauge({
    name,
    help,
    labelNames: ['state'],
    registers: [registry],
    collect() {
      for (const [state, value] of Object.entries(read())) this.set({ state }, value);
    },
  });
}

/** What is busy, and what waits. */
export function measureLoad(prom: PromClient, registry: Registry, { hasher, poolUse, revocations }: Measured): void {
  gaugeOfStates(prom, registry, {
    name: 'latchkey_password_hashes',
    help: 'Passwords that are being hashed or checked (running), and those that wait for it (waiting).',
    read() {
      const { taken, waiting } = hasher.use();
      return { running: taken, waiting };
    },
  });
  gauge(prom, registry, {
    name: 'latchkey_password_hash_permits',
    help: 'How many passwords are hashed or checked at a time at most.',
    read: () => hasher.use().size,
  });
  gaugeOfStates(prom, registry, {
    name: 'latchkey_database_connections',
    help: 'Connections to the database server, busy or idle.',
    read() {
      const { busy, idle } = poolUse();
      return { busy, idle };
    },
  });
  gauge(prom, registry, {
    name: 'latchkey_database_connections_max',
    help: 'How many of them there are at most; 0 for an embedded database.',
    read: () => poolUse().size,
  });
  gauge(prom, registry, {
    name: 'latchkey_database_requests_waiting',
    help: 'Statements and transactions that wait for a connection.',
    read: () => poolUse().waiting,
  });
  gauge(prom, registry, {
    name: 'latchkey_revocation_feed_lag_seconds',
    help: 'For how long this instance has not learnt which sessions were ended; after 3 s it asks the database about each request.',
    read: revocations.lagSeconds,
  });
}
