interface Failure {
  readonly code?: string;
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
 * exceptions (08), a read-only standby (25006), insufficient resources (53), a lock or a statement that took too long
 * (55P03, 57014), a shutdown (57P), and system errors (58); and for letting nobody in: a password that is being changed
 * (28), and a database that is being moved or put in another's place (3D000, 55000).
 */
const passing = /^(?:08...|25006|28...|3D000|53...|55000|55P03|57014|57P..|58...)$/;

/** What pg and its pool say without a code. */
const lostConnection = /^(?:timeout exceeded when trying to connect|Connection terminated|Client has encountered a connection error)/;

/** Tells whether an error means that the database cannot answer right now, and that the same request may succeed later. */
export function isDatabaseUnavailable(error: unknown): boolean {
  const { code = '', message = '', cause } = Object(error) as Failure;
  return (
    unreachable.has(code) || passing.test(code) || lostConnection.test(message) || (cause !== undefined && isDatabaseUnavailable(cause))
  );
}
