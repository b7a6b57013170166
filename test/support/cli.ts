import { runCli } from '../../src/cli/run.ts';

/** Runs a command, with what it said and what it complained of. */
export async function run(argv: string, env: Readonly<Record<string, string>> = {}) {
  const said: string[] = [];
  const complaints: string[] = [];
  const console = { say: (line: string) => void said.push(line), complain: (line: string) => void complaints.push(line) };
  const status = await runCli(argv === '' ? [] : argv.split(' '), console, env);
  return { status, said: said.join('\n'), complaints: complaints.join('\n') };
}
