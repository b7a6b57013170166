// Sends requests over some connections, each as soon as the one before it is answered, and tells how long they took.
// A process of its own, with a core of its own. Told what to send by a file, and when by messages: see load.ts.
import { readFile } from 'node:fs/promises';
import { setTimeout as pause } from 'node:timers/promises';
import autocannon from 'autocannon';

/** Where each lane goes on: to the end of it, a turn may be too short. */
const positions = new Map();

const { url, warmUp, measured, restMs } = JSON.parse(await readFile(process.argv[2], 'utf8'));
await send(warmUp);
// What was under way when the time was up is still being worked on.
await pause(restMs);
process.on('message', async () => process.send(await send(measured)));
process.send('warm');

/** Until the time is up, or each connection has sent what it has. How long the first answer over each took, with the connecting, does not count. */
async function send({ lanes, seconds }) {
  const remaining = [...lanes];
  const times = [];
  const statuses = {};
  const laneOf = new Map();
  const begun = new Set();
  let answers = 0;
  const amount = lanes.reduce((sum, lane) => sum + lane.length, 0);
  const run = autocannon({
    url,
    connections: lanes.length,
    ...(seconds === undefined ? { amount } : { duration: seconds }),
    setupClient(client) {
      const lane = remaining.pop();
      const from = positions.get(lane) ?? 0;
      laneOf.set(client, lane);
      client.setRequests([...lane.slice(from), ...lane.slice(0, from)]);
    },
  });
  const start = performance.now();
  let last = start;
  run.on('response', (client, status, _bytes, ms) => {
    last = performance.now();
    answers += 1;
    if (begun.has(client)) times.push(ms);
    begun.add(client);
    const lane = laneOf.get(client);
    positions.set(lane, ((positions.get(lane) ?? 0) + 1) % lane.length);
    statuses[status] = (statuses[status] ?? 0) + 1;
  });
  const { errors } = await run;
  times.sort((a, b) => a - b);
  const quantile = (q) => times[Math.min(times.length - 1, Math.floor(times.length * q))] ?? 0;
  const duration = (last - start) / 1000;
  return { perSecond: answers / duration, p50: quantile(0.5), p99: quantile(0.99), seconds: duration, statuses, errors };
}
