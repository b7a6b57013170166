import type { Registry } from 'prom-client';
import { mailOutcomes, type Occurrence } from '../telemetry.ts';
import { type Measured, measureLoad, measureMails, type PromClient } from './gauges.ts';

interface CountedRequest {
  readonly route: string;
  readonly method: string;
  readonly status: number;
  /** Of the problem that it was answered with; empty when there was none. */
  readonly code: string;
}

const requestBuckets = [0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10];
/** Ten seconds to a week. */
const confirmationBuckets = [10, 30, 60, 300, 900, 3600, 4 * 3600, 24 * 3600, 7 * 24 * 3600];

/** All metrics of one instance, and what counts its requests. Their names are in docs/METRICS.md. */
export function createRegistry(prom: PromClient, services: Measured) {
  const registry = new prom.Registry();
  prom.collectDefaultMetrics({ register: registry });
  measureMails(prom, registry, services);
  measureLoad(prom, registry, services);
  countOccurrences(prom, registry, services);
  return { registry, countRequest: requestCounter(prom, registry) };
}

function requestCounter({ Counter, Histogram }: PromClient, registry: Registry) {
  const registers = [registry];
  const requests = new Counter({
    name: 'latchkey_requests_total',
    help: 'Requests that were answered, by route, method, status and problem code.',
    labelNames: ['route', 'method', 'status', 'code'],
    registers,
  });
  const durations = new Histogram({
    name: 'latchkey_request_duration_seconds',
    help: 'How long they took.',
    labelNames: ['route', 'method'],
    buckets: requestBuckets,
    registers,
  });
  return ({ route, method, status, code }: CountedRequest, seconds: number): void => {
    requests.inc({ route, method, status, code });
    durations.observe({ route, method }, seconds);
  };
}

function countOccurrences({ Counter, Histogram }: PromClient, registry: Registry, { telemetry }: Measured): void {
  const registers = [registry];
  const logins = new Counter({
    name: 'latchkey_logins_total',
    help: 'Attempts to log in whose password was looked at, by outcome.',
    labelNames: ['outcome'],
    registers,
  });
  const registrations = new Counter({ name: 'latchkey_registrations_total', help: 'Accounts that were opened.', registers });
  const confirmations = new Histogram({
    name: 'latchkey_confirmation_seconds',
    help: 'Addresses that were confirmed by a mailed link: how long after the account was opened.',
    buckets: confirmationBuckets,
    registers,
  });
  const attempts = new Counter({
    name: 'latchkey_mail_attempts_total',
    help: 'Mails that this instance took from the outbox, by outcome.',
    labelNames: ['outcome'],
    registers,
  });
  // A rule that compares with what has never occurred would compare with nothing, and tell nothing.
  for (const outcome of ['succeeded', 'failed']) logins.inc({ outcome }, 0);
  for (const outcome of mailOutcomes) attempts.inc({ outcome }, 0);
  telemetry.listen((occurrence: Occurrence) => {
    switch (occurrence.what) {
      case 'login':
        return logins.inc({ outcome: 'succeeded' });
      case 'failed_login':
        return logins.inc({ outcome: 'failed' });
      case 'registration':
        return registrations.inc();
      case 'confirmation':
        return confirmations.observe(occurrence.afterSeconds);
      case 'mail_attempt':
        return attempts.inc({ outcome: occurrence.outcome });
    }
  });
}
