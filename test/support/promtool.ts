import { spawnSync } from 'node:child_process';

const isThere = () => spawnSync('promtool', ['--version']).status === 0;

/** Why a test that needs promtool is left out; false when it is not. In CI there always is one. */
export const noPromtool = process.env['CI'] !== undefined || isThere() ? false : 'there is no promtool';

/** Runs it, and tells how it ended and all that it said. */
export function promtool(...args: readonly string[]): { status: number | null; said: string } {
  const { status, stdout, stderr, error } = spawnSync('promtool', args, { encoding: 'utf8', timeout: 60_000 });
  if (error) throw error;
  return { status, said: `${stdout}${stderr}` };
}
