import { setTimeout as pause } from 'node:timers/promises';
import type { FastifyBaseLogger } from 'fastify';
import type { Clock } from '../clock.ts';
import type { Queryable } from '../db/database.ts';
import { type Failpoints, reach } from '../failpoints.ts';
import type { Telemetry } from '../telemetry.ts';
import { classifyFailure, retryDelaySeconds } from './failure.ts';
import type { MailTransport, Message } from './message.ts';
import { claimMail, keepMail, type MailRow, postponeMail, releaseMails, type Settlement, settleMail } from './outbox.ts';
import { createMailServerMonitor, type MailOutage } from './server-monitor.ts';

/** Sends what is in the outbox, until it is closed. */
export interface MailWorker {
  /** Tells it that a mail may be due: to be called after the commit that holds one. */
  wake(): void;
  /** Why no mail is being sent; undefined when all is well, as far as this instance knows. */
  outage(): MailOutage | undefined;
  /** Stops taking mails, and waits for those under way; gives back what takes too long. */
  close(): Promise<void>;
}

/** Sends nothing: for a process that leaves that to others. */
export const idleMailWorker: MailWorker = { wake: () => {}, outage: () => undefined, close: async () => {} };

interface MailWorkerOptions {
  readonly db: Queryable;
  readonly clock: Clock;
  readonly transport: MailTransport;
  /** Makes the message of a row as late as possible; undefined when it has become pointless. */
  readonly compose: (mail: MailRow) => Promise<Message | undefined>;
  readonly log: FastifyBaseLogger;
  readonly failpoints?: Failpoints | undefined;
  readonly telemetry?: Telemetry;
  /** How long mails under way may take when it is closed, before they are given back; 5 s by default. */
  readonly drainMs?: number;
}

/** How many mails are sent at once, so that a slow server holds up only as many. */
const lanes = 5;
/** How often it looks for what another instance left behind, or what has become due again. */
const pollIntervalMs = 1000;
/** How often it makes due what another instance, or a former life of this one, left waiting for the server. */
const releaseIntervalMs = 15_000;
/** All time-outs of the SMTP transport together (10 s, 10 s and 30 s); a message that takes longer is abandoned. */
const sendWithinMs = 50_000;
/** Longer than a message may take, so that nobody else takes it meanwhile; short, since a crash is made good after this. */
const leaseSeconds = 55;
/** How soon it is tried again to write down what became of a mail. */
const settleAgainMs = 1000;
/** A mail that could not be delivered for this long is given up. */
const giveUpSeconds = 24 * 3600;

export function createMailWorker(options: MailWorkerOptions): MailWorker {
  const { db, clock, transport, compose, log, failpoints, telemetry, drainMs = 5000 } = options;
  const busyLanes = new Set<Promise<void>>();
  const tasks = new Set<Promise<void>>();
  const monitor = createMailServerMonitor({ transport, clock, log, onRecovery: () => void release() });
  const closing = new AbortController();
  /** How mails ended of which the database could not be told so far. */
  const unsettled = new Map<string, Settlement>();
  let closed = false;

  function wake(): void {
    if (closed || busyLanes.size >= monitor.allowance(lanes)) return;
    const lane = drain().finally(() => busyLanes.delete(lane));
    busyLanes.add(lane);
  }

  async function drain(): Promise<void> {
    try {
      let sent = 0;
      for (let claim = await next(); claim !== undefined; claim = await next()) {
        await reach(failpoints, 'mail claimed');
        // Where one follows the other there are more of them: whoever finds that out brings in another lane.
        if (sent > 0) wake();
        await deliver(claim);
        sent += 1;
      }
    } catch (err) {
      log.error({ err }, 'the mail queue cannot be worked on; the next poll tries again');
    }
  }

  async function next(): Promise<MailRow | undefined> {
    return closed || monitor.allowance(lanes) === 0 ? undefined : claimMail(db, leaseSeconds, clock);
  }

  async function deliver(claim: MailRow): Promise<void> {
    const ended = unsettled.get(claim.id);
    if (ended !== undefined) return settle(claim, ended);
    const deadline = AbortSignal.any([AbortSignal.timeout(sendWithinMs), closing.signal]);
    const message = await compose(claim);
    if (message === undefined) return settle(claim, { status: 'dropped' });
    try {
      await transport.send(message, deadline);
    } catch (error) {
      return fail(claim, error as Error);
    }
    monitor.works();
    await reach(failpoints, 'mail accepted');
    await settle(claim, { status: 'sent' });
  }

  async function fail(claim: MailRow, error: Error): Promise<void> {
    if (closing.signal.aborted) return giveBack(claim);
    const failure = classifyFailure(error);
    const ageSeconds = (clock.now().getTime() - claim.createdAt.getTime()) / 1000;
    const { message } = error;
    log.warn({ mail: claim.id, attempt: claim.attempts, failure, reason: message }, 'a mail was not sent');
    const awaitsServer = await untilClosing(monitor.isToBlame(error));
    if (closing.signal.aborted) return giveBack(claim);
    if (failure === 'refused' || (ageSeconds >= giveUpSeconds && failure !== 'setup')) {
      return settle(claim, { status: 'failed', error: message });
    }
    const counts = failure !== 'setup';
    const delaySeconds = counts ? retryDelaySeconds(claim.attempts) : 0;
    await postponeMail(db, claim, { delaySeconds, error: message, awaitsServer, counts }, clock);
    telemetry?.tell({ what: 'mail_attempt', outcome: 'postponed' });
  }

  /** What is found out by asking the mail server, which may take longer than there is time when the worker is closed. */
  function untilClosing(finding: Promise<boolean>): Promise<boolean> {
    return new Promise((resolve) => {
      const giveUp = () => resolve(true);
      closing.signal.addEventListener('abort', giveUp);
      void finding.then(resolve).finally(() => closing.signal.removeEventListener('abort', giveUp));
    });
  }

  /**
   * Holds on to the mail until the database has taken note of how it ended, or the worker is closed: it would be sent
   * again whenever a lease runs out. If that happens while nobody reaches the database, whoever claims it here settles it.
   */
  async function settle(claim: MailRow, settlement: Settlement): Promise<void> {
    for (;;) {
      try {
        if (!(await settleMail(db, claim, settlement, clock))) return;
        unsettled.delete(claim.id);
        telemetry?.tell({ what: 'mail_attempt', outcome: settlement.status });
        return;
      } catch (err) {
        if (closing.signal.aborted) throw err;
        unsettled.set(claim.id, settlement);
        log.error({ err, mail: claim.id }, `that a mail was ${settlement.status} cannot be written down; trying again`);
      }
      // What goes wrong here has gone wrong with the other: the next turn tells of it.
      await keepMail(db, claim, leaseSeconds, clock).catch(() => {});
      await pause(settleAgainMs, undefined, { signal: closing.signal }).catch(() => {});
    }
  }

  /** To another instance, or the next life of this one, which need not wait for the lease to run out. */
  function giveBack(claim: MailRow): Promise<void> {
    return postponeMail(db, claim, { delaySeconds: 0, error: 'the instance was stopped', awaitsServer: false, counts: false }, clock);
  }

  async function release(): Promise<void> {
    await attempt('what waits for the mail server cannot be released', () => releaseMails(db, clock));
    wake();
  }

  async function attempt(complaint: string, work: () => Promise<void>): Promise<void> {
    if (closed) return;
    const task = work().catch((err: unknown) => log.error({ err }, complaint));
    tasks.add(task);
    await task.finally(() => tasks.delete(task));
  }

  const timers = [
    setInterval(wake, pollIntervalMs),
    setInterval(() => void (monitor.outage() === undefined && release()), releaseIntervalMs),
  ];
  for (const timer of timers) timer.unref();
  void release();

  return {
    wake,
    outage: monitor.outage,
    async close() {
      closed = true;
      for (const timer of timers) clearInterval(timer);
      monitor.close();
      const patience = setTimeout(() => closing.abort(), drainMs);
      await Promise.all([...busyLanes, ...tasks]);
      clearTimeout(patience);
      transport.close();
    },
  };
}
