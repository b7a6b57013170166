// An instance of the service under faults: its clock is off by CLOCK_OFFSET_MS, and it dies, as by a loss of power, when it
// reaches the point that it is told on standard input.
import { createInterface } from 'node:readline';
import { buildApp } from '../../../src/app.ts';
import { systemClock } from '../../../src/clock.ts';
import { loadConfig } from '../../../src/config.ts';
import type { Failpoint } from '../../../src/failpoints.ts';

const aheadMs = Number(process.env['CLOCK_OFFSET_MS'] ?? 0);
// The offset is that of the machine, of which the service does not know.
const clock = aheadMs === 0 ? systemClock : { now: () => new Date(Date.now() + aheadMs), offsetMs: 0 };
let fatal: string | undefined;
createInterface(process.stdin)
  .on('line', (line) => {
    fatal = line;
  })
  // The harness is gone.
  .on('close', () => process.exit(1));

async function failpoints(point: Failpoint): Promise<void> {
  if (point !== fatal) return;
  process.kill(process.pid, 'SIGKILL');
  await new Promise(() => {});
}

const config = loadConfig(process.env);
const app = await buildApp(config, { clock, failpoints });
await app.listen(config.server);
