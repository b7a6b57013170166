import { spawnSync } from 'node:child_process';
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

/** What becomes of variables when a shell runs what is to mend them; any shell does that POSIX knows. */
export function mended<Name extends string>(found: readonly Finding[], env: Readonly<Record<Name, string>>): Record<Name, string> {
  const names = Object.keys(env) as Name[];
  const script = [...found.map(({ mend }) => mend), ...names.map((name) => `printf '%s\\n' "$${name}"`)].join('\n');
  const { stdout, stderr } = spawnSync('sh', ['-eu', '-c', script], { env: { PATH: process.env['PATH'], ...env }, encoding: 'utf8' });
  const values = stdout.split('\n');
  if (stderr !== '') throw new Error(stderr);
  return Object.fromEntries(names.map((name, index) => [name, values[index]])) as Record<Name, string>;
}
