import type { FastifyBaseLogger } from 'fastify';
import type { Clock } from '../clock.ts';
import { classifyFailure } from './failure.ts';
import type { MailTransport } from './message.ts';

/** Why no mail is being sent at the moment. */
export interface MailOutage {
  /** `held`: credentials, TLS or sender have to be mended. `unreachable`: the server has to come back. */
  readonly state: 'held' | 'unreachable';
  readonly since: Date;
}

/** Knows whether the mail server can be used, and finds out when it can be again. */
export interface MailServerMonitor {
  outage(): MailOutage | undefined;
  /** How many mails may be under way, of as many as there could be: none of them in an outage, or one to see whether it is over. */
  allowance(most: number): number;
  /** To be told of every failure. Answers whether it is the server's, so that no other mail would have got through either. */
  isToBlame(error: Error): Promise<boolean>;
  /** To be told when a mail got through. */
  works(): void;
  close(): void;
}

interface MailServerMonitorOptions {
  readonly transport: Pick<MailTransport, 'probe'>;
  readonly clock: Clock;
  readonly log: FastifyBaseLogger;
  /** Called when mails may be tried again. */
  readonly onRecovery: () => void;
}

const firstProbeMs = 1000;
/** A server that came back is noticed within this; one that refuses the credentials is not asked more often. */
const longestProbeMs = 15_000;

export function createMailServerMonitor({ transport, clock, log, onRecovery }: MailServerMonitorOptions): MailServerMonitor {
  let outage: MailOutage | undefined;
  /** Trying the server without a mail does not show this outage, such as a sender that it refuses: its end neither. */
  let needsMail = false;
  let onTrial = false;
  let underWay: Promise<boolean> | undefined;
  let timer: NodeJS.Timeout | undefined;
  let delayMs = firstProbeMs;
  let closed = false;

  function check(): Promise<boolean> {
    clearTimeout(timer);
    underWay ??= probe().finally(() => {
      underWay = undefined;
    });
    return underWay;
  }

  async function probe(): Promise<boolean> {
    try {
      await transport.probe();
    } catch (error) {
      begin(error as Error);
      return false;
    }
    if (!needsMail) {
      works();
    } else {
      onTrial = true;
      onRecovery();
    }
    return true;
  }

  function begin(error: Error): void {
    const state = classifyFailure(error) === 'setup' ? 'held' : 'unreachable';
    if (outage?.state !== state) {
      log.error({ state, reason: error.message }, 'the mail server cannot be used; mails wait in the queue');
      outage = { state, since: outage?.since ?? clock.now() };
    }
    onTrial = false;
    if (closed) return;
    timer = setTimeout(() => void check(), delayMs);
    timer.unref();
    delayMs = Math.min(delayMs * 2, longestProbeMs);
  }

  function works(): void {
    clearTimeout(timer);
    delayMs = firstProbeMs;
    needsMail = false;
    onTrial = false;
    if (outage === undefined) return;
    log.info({ since: outage.since }, 'the mail server can be used again');
    outage = undefined;
    onRecovery();
  }

  const isKnown = () => outage !== undefined && !onTrial;

  async function isToBlame(error: Error): Promise<boolean> {
    const failure = classifyFailure(error);
    if (failure === 'refused' || failure === 'mail') {
      // Whoever judges a mail has let it come that far.
      works();
      return false;
    }
    if (closed || isKnown()) return true;
    const failedAgain = onTrial && failure === 'setup';
    if (!failedAgain && !(await check())) return true;
    // What only fails together with this mail is about this mail, unless it would be the same with any other.
    if (failure === 'connection') return false;
    if (isKnown()) return true;
    needsMail = true;
    begin(error);
    return true;
  }

  return {
    outage: () => outage,
    allowance: (most) => (outage === undefined ? most : Number(onTrial)),
    isToBlame,
    works,
    close() {
      closed = true;
      clearTimeout(timer);
    },
  };
}
