import { execFile } from 'node:child_process';
import { promisify } from 'node:util';
import type { Test } from 'tap';
import { startProcess } from './process.ts';

/** Compiles the single-page application of the examples and serves it, as its README says, in front of a service. */
export async function startSpa(t: Test, latchkey: string): Promise<string> {
  await promisify(execFile)(process.execPath, ['node_modules/typescript/bin/tsc', '--project', 'examples/spa']);
  const { says } = startProcess(t, { command: [process.execPath, 'examples/spa/serve.mjs'] }, { LATCHKEY: latchkey, PORT: '0' });
  const [, base = ''] = await says(/^open (http:\S+)$/m);
  return base;
}
