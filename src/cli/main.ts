#!/usr/bin/env node
import { runCli } from './run.ts';

/** EX_IOERR of sysexits.h: no command ends so of what it has found. */
const notWritten = 74;

const argv = process.argv.slice(2);
// A service outlives its standard output, and takes care of that itself.
if (argv[0] !== 'serve') {
  process.stdout.on('error', ({ code, message }: NodeJS.ErrnoException) => {
    // Who has read enough closes the pipe; and what is full is so for every line.
    if (code === 'EPIPE' || process.exitCode === notWritten) return;
    process.exitCode = notWritten;
    process.stderr.write(`Standard output cannot be written: ${message}\n`);
  });
  // There is nobody left to tell.
  process.stderr.on('error', () => {});
}
const status = await runCli(argv);
process.exitCode ??= status;
