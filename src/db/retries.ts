import { setTimeout as pause } from 'node:timers/promises';

/** Serialization failure, and deadlock (PostgreSQL's manual, 13.5): the same transaction may well succeed when it is run again. */
const passing: ReadonlySet<unknown> = new Set(['40001', '40P01']);
const mostRetries = 3;
/** In milliseconds, at most; at random, so that those who met do not meet again. */
const longestPause = 50;

/**
 * Runs a whole transaction, or a statement that is one, and again when it got into another one's way: at most three times more.
 *
 * @param transaction does nothing but SQL, so that nothing of a run that failed is left
 */
export async function retried<Result>(transaction: () => Promise<Result>): Promise<Result> {
  for (let retries = 0; ; retries += 1) {
    try {
      return await transaction();
    } catch (error) {
      if (retries === mostRetries || !passing.has(codeOf(error))) throw error;
      await pause(Math.random() * longestPause);
    }
  }
}

function codeOf(error: unknown): unknown {
  const { code, cause } = Object(error) as { code?: unknown; cause?: unknown };
  return code ?? (cause === undefined ? undefined : codeOf(cause));
}
