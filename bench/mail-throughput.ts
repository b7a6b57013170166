// How many mails a second one and two instances deliver into a local mail server, and how long it takes on an idle
// service from POST /auth/register to the SMTP DATA of its mail: see README.md.
import { type ChildProcess, spawn } from 'node:child_process';
import { randomUUID } from 'node:crypto';
import { EventEmitter, once } from 'node:events';
import { mkdtemp, rm } from 'node:fs/promises';
import { type AddressInfo, createServer } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { performance } from 'node:perf_hooks';
import { setTimeout as pause } from 'node:timers/promises';
import pg from 'pg';
import { SMTPServer } from 'smtp-server';

const queued = 5000;
const registrations = 60;
const { TEST_DATABASE_URL: serverUrl } = process.env;
if (serverUrl === undefined) throw new Error('TEST_DATABASE_URL names no PostgreSQL server');

/** Takes every mail and keeps none; emits `data` when the first byte of one may come, and `mail` when it has it. */
const arrivals = new EventEmitter();
const sink = new SMTPServer({
  authOptional: true,
  disabledCommands: ['STARTTLS'],
  onData(stream, session, callback) {
    arrivals.emit('data', session.envelope.rcptTo[0]?.address);
    stream.resume();
    stream.on('end', () => {
      arrivals.emit('mail');
      callback();
    });
  },
});
sink.listen(0, '127.0.0.1');
await once(sink.server, 'listening');
const smtpUrl = `smtp://127.0.0.1:${(sink.server.address() as AddressInfo).port}`;

async function query(url: string, statement: string, parameters: unknown[] = []): Promise<void> {
  const client = new pg.Client({ connectionString: url });
  await client.connect();
  await client.query(statement, parameters).finally(() => client.end());
}

/** Runs instances, each a process of its own, on a database of their own. */
async function withInstances<Result>(count: number, work: (base: string, databaseUrl: string) => Promise<Result>): Promise<Result> {
  const name = `latchkey_bench_${randomUUID().replaceAll('-', '')}`;
  await query(serverUrl as string, `create database ${name}`);
  const databaseUrl = Object.assign(new URL(serverUrl as string), { pathname: `/${name}` }).href;
  const dataDir = await mkdtemp(join(tmpdir(), 'latchkey-bench-'));
  const children: ChildProcess[] = [];
  try {
    const bases: string[] = [];
    for (let started = 0; started < count; started += 1) {
      const port = await freePort();
      const env = {
        DATABASE_URL: databaseUrl,
        SMTP_URL: smtpUrl,
        DATA_DIR: dataDir,
        PORT: String(port),
        LOG_LEVEL: 'warn',
        RATE_LIMIT: 'off',
      };
      const argv = ['--import=./scripts/typescript.js', 'src/server.ts'];
      children.push(spawn(process.execPath, argv, { env: { PATH: process.env['PATH'], ...env }, stdio: ['ignore', 'ignore', 'inherit'] }));
      bases.push(`http://127.0.0.1:${port}`);
    }
    await Promise.all(bases.map(answers));
    return await work(bases[0] as string, databaseUrl);
  } finally {
    await Promise.all(children.map(end));
    await rm(dataDir, { recursive: true });
    await query(serverUrl as string, `drop database ${name} with (force)`);
  }
}

async function freePort(): Promise<number> {
  const server = createServer().listen(0, '127.0.0.1');
  await once(server, 'listening');
  const { port } = server.address() as AddressInfo;
  server.close();
  return port;
}

async function answers(base: string): Promise<void> {
  while (
    !(await fetch(`${base}/health/ready`).then(
      ({ ok }) => ok,
      () => false,
    ))
  )
    await pause(50);
}

async function end(child: ChildProcess): Promise<void> {
  const ended = once(child, 'close');
  child.kill('SIGKILL');
  await ended;
}

async function register(base: string, name: string): Promise<void> {
  const body = JSON.stringify({ email: `${name}@example.com`, username: name, password: 'correct horse battery staple' });
  const { status } = await fetch(`${base}/auth/register`, { method: 'POST', headers: { 'content-type': 'application/json' }, body });
  if (status !== 201) throw new Error(`registration answered ${status}`);
}

/** Mails per second, from the first to the last of a queue that is filled in one go. */
async function throughput(base: string, databaseUrl: string): Promise<number> {
  const first = once(arrivals, 'mail');
  await register(base, 'ada');
  await first;
  let arrived = 0;
  let start = 0;
  const count = () => {
    start ||= performance.now();
    arrived += 1;
    if (arrived === queued) arrivals.emit('all');
  };
  arrivals.on('mail', count);
  const all = once(arrivals, 'all');
  await query(
    databaseUrl,
    `insert into mails (id, user_id, kind, recipient, created_at, due_at)
     select gen_random_uuid(), (select id from users), 'confirmation', 'ada@example.com', now(), now() from generate_series(1, $1)`,
    [queued],
  );
  await all;
  arrivals.off('mail', count);
  return (arrived * 1000) / (performance.now() - start);
}

/** Milliseconds from each request to the DATA of its mail, ascending. */
async function latencies(base: string): Promise<number[]> {
  const times: number[] = [];
  for (let index = 0; index < registrations; index += 1) {
    const data = once(arrivals, 'data');
    const start = performance.now();
    const registered = register(base, `person${index}`);
    await data;
    times.push(performance.now() - start);
    await registered;
    await pause(100);
  }
  // The first ones find a process that is not warm yet.
  return times.slice(10).sort((a, b) => a - b);
}

for (const count of [1, 2]) {
  const rate = await withInstances(count, throughput);
  console.log(`${count} instance${count === 1 ? '' : 's'}: ${Math.round(rate)} mails/s (${queued} mails)`);
}
const times = await withInstances(1, latencies);
const at = (share: number) => Math.round(times[Math.floor(times.length * share)] ?? Number.NaN);
console.log(`register to DATA: median ${at(0.5)} ms, 95th percentile ${at(0.95)} ms (${times.length} registrations)`);
sink.close();
