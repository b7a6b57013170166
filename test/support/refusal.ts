import type { Test } from 'tap';
import type { ProblemCode } from '../../src/problems/catalogue.ts';
import type { Answer } from './client.ts';

/** Asserts that an answer is the problem of this status and code, and nothing else. */
export function refused(
  t: Test,
  answer: Pick<Answer, 'status' | 'headers' | 'body'>,
  status: number,
  code: ProblemCode,
  what = code as string,
): void {
  const { 'content-type': type, 'cache-control': caching } = answer.headers;
  t.match(
    { status: answer.status, type, caching, body: answer.body },
    { status, type: /^application\/problem\+json/, caching: 'no-store', body: { status, code, type: `/problems/${code}` } },
    `refused: ${what}`,
  );
}
