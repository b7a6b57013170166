// The first process of a container is not ended by a signal that it does not listen to: until the service does, this does.
function stop(signal: NodeJS.Signals): void {
  if (process.listenerCount(signal) === 0) process.exit(0);
}
for (const signal of ['SIGTERM', 'SIGINT'] as const) process.once(signal, stop);

const { runCli } = await import('./cli/run.ts');
process.exitCode = await runCli(['serve']);
