/** What the log shows of an error. */
interface LoggedError {
  readonly type: string;
  readonly message: string;
  readonly stack: string;
  readonly [code: string]: unknown;
}

/**
 * Picks what the log shows of an error, and nothing else: drivers and libraries put statements, parameters and whole
 * rows into other members, and Drizzle puts parameters into its message, so that of its errors only the cause is shown.
 */
export function logError(error: unknown): LoggedError {
  if (!(error instanceof Error)) return { type: typeof error, message: String(error), stack: '' };
  if (error.constructor.name === 'DrizzleQueryError') return logError(error.cause ?? 'a query failed');
  const { code } = error as { code?: unknown };
  const [message, stack] = [error.message, error.stack ?? ''].map((text) => withoutValues(text, code)) as [string, string];
  return { type: error.name, message, stack, ...(typeof code === 'string' && { code }) };
}

/** PostgreSQL's data exceptions (class 22) quote the value that they are about. */
function withoutValues(text: string, code: unknown): string {
  return typeof code === 'string' && /^22[\dA-Z]{3}$/.test(code) ? text.replace(/"[\s\S]*"/, '"…"') : text;
}
