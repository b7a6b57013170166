// Sends requests at a steady rate, whether or not they are answered, until it is told to stop, and tells how they were
// answered. Started by overload.ts as a process of its own, which does not also have the flood to send.
import { performance } from 'node:perf_hooks';
import { setTimeout as pause } from 'node:timers/promises';
import { type Answer, ask, hangUp } from './ask.ts';

const perSecond = 200;
const [url = '', token = ''] = process.argv.slice(2);

/** Opened beforehand: a proxy, or a client that is at work, has its connections. */
const connections = 20;
await Promise.all(Array.from({ length: connections }, () => ask(url, { token })));

let isOver = false;
process.once('message', () => {
  isOver = true;
});
const answers: Promise<Answer>[] = [];
const start = performance.now();
process.send?.('started');
while (!isOver) {
  answers.push(ask(url, { token }));
  await pause(Math.max(0, start + (answers.length * 1000) / perSecond - performance.now()));
}
process.send?.(await Promise.all(answers), () => process.disconnect());
hangUp();
