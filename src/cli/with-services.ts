import { buildApp } from '../app.ts';
import { systemClock } from '../clock.ts';
import type { Config } from '../config.ts';
import { Problem } from '../problems/problem.ts';
import type { Services } from '../services.ts';
import { type Console, UsageError } from './command.ts';

/**
 * Runs some work on the whole service, built as it is for serving, but not listening, and doing nothing by itself: what is
 * queued is left to the process that serves.
 *
 * @throws UsageError for what the work refuses as a problem, in the problem's words
 */
export async function withServices<Result>(
  config: Config,
  console: Console,
  work: (services: Services) => Promise<Result>,
): Promise<Result> {
  // The log is for the service that serves; a command says what it has to say.
  const app = await buildApp(config, {
    clock: systemClock,
    announce: console.complain,
    worksInBackground: false,
    log: { write: () => {} },
  });
  try {
    return await work(app.services);
  } catch (error) {
    throw error instanceof Problem ? new UsageError(explain(error)) : error;
  } finally {
    await app.close();
  }
}

function explain(problem: Problem): string {
  const { detail, errors = [] } = problem.toJSON();
  return [detail, ...errors.map(({ pointer, message }) => `  ${pointer.slice(1)} ${message}`)].join('\n');
}
