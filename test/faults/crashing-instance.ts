// An instance that dies, as by a loss of power, when it has reached the point that CRASH_AFTER names, or is stopped, until
// somebody has it go on, when it first reaches the one that STOP_AFTER names.
import { buildApp } from '../../src/app.ts';
import { systemClock } from '../../src/clock.ts';
import { loadConfig } from '../../src/config.ts';
import type { Failpoint } from '../../src/failpoints.ts';

let stopAfter = process.env['STOP_AFTER'];

async function failpoints(point: Failpoint): Promise<void> {
  if (point === stopAfter) {
    stopAfter = undefined;
    process.kill(process.pid, 'SIGSTOP');
  }
  if (point !== process.env['CRASH_AFTER']) return;
  process.kill(process.pid, 'SIGKILL');
  await new Promise(() => {});
}

const app = await buildApp(loadConfig(process.env), { clock: systemClock, failpoints });
process.stdout.write(`listens at ${await app.listen({ host: '127.0.0.1', port: 0 })}\n`);
process.once('SIGTERM', () => void app.close());
