const firstDelaySeconds = 5;
const longestDelaySeconds = 15 * 60;

/**
 * How long to wait before a mail is tried again: doubling from 5 s to 15 min, of which a random half is taken off,
 * so that what failed together does not come back together.
 *
 * @param attempts how often it has been tried, from 1
 */
export function retryDelaySeconds(attempts: number, random: () => number = Math.random): number {
  const delay = Math.min(firstDelaySeconds * 2 ** (attempts - 1), longestDelaySeconds);
  return delay * (1 - random() / 2);
}

/**
 * Whom a failed attempt is about.
 *
 * - `refused`: this mail, for good
 * - `mail`: this mail, for now
 * - `connection`: the mail server, unless it can be reached without this mail
 * - `setup`: how the service is set up to talk to the server: credentials, TLS, sender. No mail will get through until
 *   somebody has mended that, and none is to blame
 */
export type Failure = 'refused' | 'mail' | 'connection' | 'setup';

/** The parts of nodemailer's errors that tell what failed. */
interface SmtpError extends Error {
  readonly code?: string;
  /** The system's or the TLS library's own code. */
  readonly originalCode?: string;
  /** What the server has replied. */
  readonly response?: string;
  /** The server's reply code (RFC 5321 §4.2). */
  readonly responseCode?: number;
  readonly command?: string;
}

const certificateFault = /CERT|TLS|SSL|ISSUER|SIGNATURE/;
/** RFC 4954 §6: authentication required, credentials invalid, encryption required, mechanism too weak. */
const authenticationReplies: readonly number[] = [530, 534, 535, 538];

export function classifyFailure(error: Error): Failure {
  const { code = '', originalCode = '', response, responseCode = 0, command = '' } = error as SmtpError;
  if (authenticationReplies.includes(responseCode)) return 'setup';
  if (code === 'ETLS' || code === 'ENOAUTH' || code === 'ECONFIG' || certificateFault.test(originalCode)) return 'setup';
  if (code === 'EAUTH') return responseCode >= 400 && !isFinal(responseCode) ? 'connection' : 'setup';
  if (command === 'MAIL FROM' && responseCode >= 500) return 'setup';
  if (code !== 'EENVELOPE' && code !== 'EMESSAGE') return 'connection';
  return responseCode === 0 ? failureWithoutCode(response) : failureByCode(responseCode);
}

/** Without any reply, it is the library itself that refuses; what one without a code is about, nobody knows. */
function failureWithoutCode(response: string | undefined): Failure {
  return response === undefined ? 'refused' : 'connection';
}

function failureByCode(responseCode: number): Failure {
  return isFinal(responseCode) ? 'refused' : 'mail';
}

/** 503 is about the order of commands (RFC 5321 §4.2.4): on another connection it may be right. */
function isFinal(responseCode: number): boolean {
  return responseCode >= 500 && responseCode !== 503;
}
