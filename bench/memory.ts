// The memory of the service over an hour's worth of requests, at a thousand in a second, sent as fast as they are answered:
// see README.md. Bound to the core of the load, as is PostgreSQL.

import { beginRun } from '../test/faults/harness/lifetime.ts';
import { createFaultyMailServer } from '../test/support/faulty-mail-server.ts';
import { residentMegabytes } from './standard/machine.ts';
import { startPostgres } from './standard/postgres.ts';
import { single, startSubject, subjectOf } from './standard/subject.ts';

const hourly = 3_600_000;
const people = 10_000;
/** Of guarded requests, before others have their turn. */
const turnSeconds = 30;
/** As many turns as there are people for. */
const mostTurns = 60;

const run = beginRun();
process.once('SIGINT', () => void run.end().finally(() => process.exit(1)));
try {
  const postgres = await startPostgres(run);
  const mailServer = await createFaultyMailServer(run);
  await mailServer.start();
  const databaseUrl = await postgres.create('latchkey');
  const unconfirmed = (single.warmUp + single.measured) * mostTurns;
  const subject = await startSubject(run, { databaseUrl, smtpUrl: mailServer.url, people, unconfirmed });
  const { guardedFor, confirm, refresh, register } = subjectOf(subject);
  const resident = [residentMegabytes(subject.service.pid)];
  let answered = 0;
  for (let turn = 0; answered < hourly && turn < mostTurns; turn += 1) {
    const { perSecond } = await guardedFor(turnSeconds);
    await confirm();
    await refresh();
    await register();
    answered += perSecond * turnSeconds;
    resident.push(residentMegabytes(subject.service.pid));
    console.log(`${Math.round(answered).toLocaleString('en')} guarded requests: ${resident.at(-1)?.toFixed(0)} MB resident`);
  }
  if (answered < hourly) throw new Error(`only ${Math.round(answered)} requests were answered in ${mostTurns} turns`);
  const half = resident.slice(Math.floor(resident.length / 2));
  const [start, most, middle, end] = [resident[0], Math.max(...resident), half[0], half.at(-1)].map((each) => each?.toFixed(0));
  console.log(`${start} MB at the start, ${middle} MB after half of it, ${end} MB at the end, ${most} MB at most`);
} finally {
  await run.end();
}
