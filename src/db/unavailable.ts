interface Failure {
  readonly code?: string;
  readonly severity?: string;
  readonly message?: string;
  readonly cause?: unknown;
}

/** The network's words for a server that cannot be reached. */
const unreachable: ReadonlySet<string> = new Set([
  'ECONNREFUSED',
  'ECONNRESET',
  'EPIPE',
  'ETIMEDOUT',
  'ENOTFOUND',
  'EAI_AGAIN',
  'EHOSTUNREACH',
  'ENETUNREACH',
]);

/**
 * PostgreSQL's words (appendix A of its manual) for what passes without anybody's request being at fault: connection
 * exceptions (08), a read-only standby (25006), a transaction that was left alone (25P03, 25P04), insufficient resources (53), a lock or a statement that took too long
 * (55P03, 57014), one that was given up for another even when it was run again (40001, 40P01), a shutdown (57P), and system errors (58); and for letting nobody in: a password that is being changed
 * (28), and a database that is being moved or put in another's place (3D000, 55000).
 */
const passing = /^(?:08...|25006|25P0[34]|28...|3D000|40001|40P01|53...|55000|55P03|57014|57P..|58...)$/;

/** What pg and its pool say without a code. */
const lostConnection =
  /^(?:timeout exceeded when trying to connect|Query read timeout|Connection terminated|Client has encountered a connection error)/;

/**
 * With these, PostgreSQL has ended the connection, or not begun it, whatever the code is: internal, when the disk is so
 * full that nobody gets in.
 */
const ending: ReadonlySet<string> = new Set(['FATAL', 'PANIC']);

/** Tells whether an error means that the database cannot answer right now, and that the same request may succeed later. */
export function isDatabaseUnavailable(error: unknown): boolean {
  const { code = '', severity = '', message = '', cause } = Object(error) as Failure;
  return (
    unreachable.has(code) ||
    ending.has(severity) ||
    passing.test(code) ||
    lostConnection.test(message) ||
    (cause !== undefined && isDatabaseUnavailable(cause))
  );
}
