import type { Clock } from '../clock.ts';
import type { Config } from '../config.ts';

export type Subject = 'configuration' | 'database' | 'mail' | 'limits' | 'address' | 'cookies' | 'secrets';

/** What a check has found. Nothing in it is secret: errors of servers are told by their codes, addresses without what may be a password. */
export interface Finding {
  readonly subject: Subject;
  /** Only an error keeps the service from its work, or lets somebody in. */
  readonly level: 'ok' | 'warning' | 'error';
  readonly what: string;
  /** What mends it: a variable, SQL or a command of the shell. Words in capitals stand for what only the operator knows. */
  readonly mend?: string;
}

/** Looks, and changes nothing. */
export type Check = (config: Config, clock: Clock) => readonly Finding[] | Promise<readonly Finding[]>;

export function findingsAbout(subject: Subject) {
  const finding = (level: Finding['level']) => (what: string, mend?: string) =>
    ({ subject, level, what, ...(mend !== undefined && { mend }) }) satisfies Finding;
  return { ok: finding('ok'), warning: finding('warning'), error: finding('error') };
}

/** Names an error without its message, which may quote anything. */
export function nameOf(error: unknown): string {
  const {
    code,
    message = '',
    name = 'Error',
    cause,
  } = Object(error) as { code?: unknown; message?: string; name?: string; cause?: unknown };
  if (typeof code === 'string' && /^\w+$/.test(code)) return code;
  if (/time-?d? ?out/i.test(message)) return 'it took too long';
  return cause === undefined ? name : nameOf(cause);
}

/** @throws Error when the work has not ended by then; what it holds is its own to give back */
export async function within<Result>(seconds: number, work: Promise<Result>): Promise<Result> {
  let timer: NodeJS.Timeout | undefined;
  const end = new Promise<never>((_, reject) => {
    timer = setTimeout(() => reject(new Error('timed out')), seconds * 1000);
  });
  return Promise.race([work, end]).finally(() => clearTimeout(timer));
}
