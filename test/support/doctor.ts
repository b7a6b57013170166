import type { Test } from 'tap';
import type { Finding, Subject } from '../../src/doctor/finding.ts';
import { run } from './cli.ts';

/** What the doctor finds in an environment, or about one subject of it. */
export async function examine(t: Test, env: Readonly<Record<string, string>>, subject?: Subject): Promise<Finding[]> {
  const { status, said, complaints } = await run('doctor --json', env);
  const findings: Finding[] = JSON.parse(said);
  t.equal(complaints, '');
  t.equal(status, findings.some(({ level }) => level === 'error') ? 1 : 0);
  return findings.filter((each) => subject === undefined || each.subject === subject);
}

/** Only what is wrong. */
export function faultsIn(findings: readonly Finding[]): Finding[] {
  return findings.filter(({ level }) => level !== 'ok');
}

/** Exactly as many as are expected, and like these. */
export function finds(t: Test, found: readonly Finding[], expected: readonly Readonly<Record<string, string | RegExp>>[]): void {
  t.equal(found.length, expected.length, JSON.stringify(found));
  t.match(found, expected);
}
