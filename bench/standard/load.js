// Sends requests over some connections, each as soon as the one before it is answered, and tells how long they took.
// A process of its own, with a core of its own. Told what to send by a file, and when by messages: see load.ts.
import { readFile } from 'node:fs/promises';
import { setTimeout as pause } from 'node:timers/promises';
import autocannon from 'autocannon';

const { url, warmUp, measured, restMs } = JSON.parse(await readFile(process.argv[2], 'utf8'));
await send(warmUp);
// What was under way when the time was up is still being worked on.
await pause(restMs);
process.on('message', async () => process.send(await send(measured)));
process.send('warm');

/** Until the time is up, or each connection has sent what it has. */
async function send({ lanes, seconds }) {
  const remaining = [...lanes];
  const times = [];
  const statuses = {};
  const amount = lanes.reduce((sum, lane) => sum + lane.length, 0);
  const run = autocannon({
    url,
    connections: lanes.length,
    ...(seconds === undefined ? { amount } : { duration: seconds }),
    setupClient: (client) => client.setRequests(remaining.pop()),
  });
  const start = performance.now();
  let last = start;
  run.on('response', (_client, status, _bytes, ms) => {
    last = performance.now();
    times.push(ms);
    statuses[status] = (statuses[status] ?? 0) + 1;
  });
  const { errors } = await run;
  times.sort((a, b) => a - b);
  const quantile = (q) => times[Math.min(times.length - 1, Math.floor(times.length * q))] ?? 0;
  return { perSecond: (times.length * 1000) / (last - start), p50: quantile(0.5), p99: quantile(0.99), statuses, errors };
}
