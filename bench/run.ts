// The standard set: the service beside its limits and its peers, by turns: see README.md. Bound to the core of the load, as is
// PostgreSQL; what is measured has another one to itself.
import { mkdir, writeFile } from 'node:fs/promises';
import { cpus } from 'node:os';
import { join } from 'node:path';
import { parseArgs } from 'node:util';
import { beginRun, type Run } from '../test/faults/harness/lifetime.ts';
import { createFaultyMailServer } from '../test/support/faulty-mail-server.ts';
import type { Measurement } from './standard/load.ts';
import { residentMegabytes } from './standard/machine.ts';
import { startPostgres } from './standard/postgres.ts';
import { type Compared, cores } from './standard/row.ts';
import { type Field, standardRows } from './standard/rows.ts';
import { type Measured, startPeer, startService } from './standard/servers.ts';
import { byDefault, quiet, single, startSubject } from './standard/subject.ts';
import { resultsOf, tableOf } from './standard/table.ts';

const { values } = parseArgs({ options: { rounds: { type: 'string', default: '3' }, only: { type: 'string', default: '' } } });
const rounds = Number(values.rounds);
const people = 10_000;
const grownPeople = 1_000_000;
const results = join(import.meta.dirname, 'results');

if (cpus().length < 2) throw new Error('There must be a core for the server, and one for the load.');
const run = beginRun();
process.once('SIGINT', () => void run.end().finally(() => process.exit(1)));
try {
  const field = await startField(run);
  const all = await standardRows(field);
  const wanted = all.filter(({ what }) => values.only.split(',').some((each) => what.includes(each)));
  const rows = all.filter(({ what }) => wanted.some((row) => row.what === what || row.yardstick === what));
  const measured = new Map<string, (Measurement | Compared)[]>(rows.map(({ what }) => [what, []]));
  for (let round = 1; round <= rounds; round += 1) {
    for (const { what, measure } of rows) {
      const one = await measure();
      measured.get(what)?.push(one);
      console.log(
        `${round}: ${what}: ${one.perSecond.toFixed(1)} a second, p99 ${one.p99.toFixed(1)} ms, ${one.busy.toFixed(2)} of a core`,
      );
    }
    // After each round, so that one that fails takes nothing with it.
    await report(round, field.own.service);
  }

  async function report(round: number, service: Measured): Promise<void> {
    const outcome = resultsOf(rows, measured);
    const facts = { rounds: round, readyMs: Math.round(service.startedMs), residentMegabytes: Math.round(residentMegabytes(service.pid)) };
    console.log(`\n${tableOf(outcome)}\n\nReady after ${facts.readyMs} ms; ${facts.residentMegabytes} MB resident.\n`);
    if (values.only !== '') return;
    await mkdir(results, { recursive: true });
    const machine = { processor: cpus()[0]?.model, cores: cpus().length, node: process.version };
    await writeFile(join(results, 'latest.json'), `${JSON.stringify({ machine, ...facts, results: outcome }, null, 2)}\n`);
    await writeFile(join(results, 'latest.md'), `${tableOf(outcome)}\n`);
  }
} finally {
  await run.end();
}

async function startField(lifetime: Run): Promise<Field> {
  const postgres = await startPostgres(lifetime);
  const databaseUrl = await postgres.create('latchkey');
  const mailServer = await createFaultyMailServer(lifetime);
  await mailServer.start();
  const unconfirmed = (single.warmUp + single.measured) * rounds;
  const subject = (url: string, count: number) =>
    startSubject(lifetime, { databaseUrl: url, smtpUrl: mailServer.url, people: count, unconfirmed });
  const own = await subject(databaseUrl, people);
  const peer = (name: string, variables = {}) => startPeer(lifetime, cores.server, name, variables);
  return {
    databaseUrl,
    own,
    second: await startService(lifetime, cores.load, { ...byDefault, ...quiet, DATABASE_URL: databaseUrl, SMTP_URL: mailServer.url }),
    grown: await subject(await postgres.create('grown'), grownPeople),
    asByDefault: await startService(lifetime, cores.server, { ...byDefault, DATABASE_URL: databaseUrl, SMTP_URL: mailServer.url }),
    constant: await peer('constant'),
    betterAuth: await peer('better-auth', { DATABASE_URL: await postgres.create('better_auth') }),
    betterAuthTuned: await peer('better-auth', { DATABASE_URL: await postgres.create('tuned'), COOKIE_CACHE: 'on', HASH: 'argon2id' }),
    express: await peer('express', { DATABASE_URL: await postgres.create('express') }),
  };
}
