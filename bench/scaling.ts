// What the service costs: hashes, statements, rows, commits, and time of processors and on the disk: see README.md.
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { readdirSync, readFileSync } from 'node:fs';
import { mkdtemp, rm } from 'node:fs/promises';
import { Agent, request } from 'node:http';
import { type AddressInfo, createServer } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { performance } from 'node:perf_hooks';
import { setTimeout as pause } from 'node:timers/promises';
import { hashSync } from '@node-rs/argon2';
import pg from 'pg';
import { SMTPServer } from 'smtp-server';

const people = 200;
const copies = 100_000;
const loadSeconds = 10;
const lanes = 32;
const { TEST_DATABASE_URL: url } = process.env;
if (url === undefined) throw new Error('TEST_DATABASE_URL names no PostgreSQL server');
/** Of the service; argon2id is the library's own. */
const defaultCosts = { memoryCost: 19_456, timeCost: 2, parallelism: 1 };
const password = 'correct horse battery staple';
const userAgent = 'Mozilla/5.0 (X11; Linux x86_64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/140.0.0.0 Safari/537.36';

// --- hashes ----------------------------------------------------------------------------------------------------------

const hashing = process.cpuUsage();
const hashes = 100;
for (let index = 0; index < hashes; index += 1) {
  hashSync(password, defaultCosts);
}
const { user, system } = process.cpuUsage(hashing);
console.log(`argon2id, 19,456 KiB, 2 passes: ${((hashes * 1e6) / (user + system)).toFixed(1)} hashes in a second of one core`);

// --- a mail server, a service, a client ---------------------------------------------------------------------------------

const links = new Map<string, string>();
const sink = new SMTPServer({
  authOptional: true,
  disabledCommands: ['STARTTLS'],
  async onData(stream, session, callback) {
    let text = '';
    for await (const chunk of stream) text += chunk;
    const plain = text.replaceAll('=\r\n', '').replaceAll('=3D', '=');
    const link = /\/auth\/confirm\/[\w.-]+/.exec(plain)?.[0];
    if (link !== undefined) links.set(session.envelope.rcptTo[0]?.address ?? '', link);
    callback();
  },
});
sink.listen(0, '127.0.0.1');
await once(sink.server, 'listening');

const probe = createServer().listen(0, '127.0.0.1');
await once(probe, 'listening');
const { port } = probe.address() as AddressInfo;
probe.close();
const dataDir = await mkdtemp(join(tmpdir(), 'latchkey-bench-'));
const service = spawn(process.execPath, ['--import=./scripts/typescript.js', 'src/server.ts'], {
  env: {
    ...{ PATH: process.env['PATH'], DATABASE_URL: url, DATA_DIR: dataDir, PORT: String(port), LOG_LEVEL: 'warn' },
    ...{ SMTP_URL: `smtp://127.0.0.1:${(sink.server.address() as AddressInfo).port}`, TRUSTED_PROXIES: '127.0.0.1' },
    ...{ ARGON2_MEMORY_KIB: '8', ARGON2_PASSES: '1', SHUTDOWN_DELAY_SECONDS: '0' },
  },
  stdio: ['ignore', 'ignore', 'inherit'],
});
const agent = new Agent({ keepAlive: true, maxSockets: lanes });

interface Person {
  readonly name: string;
  readonly ip: string;
  access: string;
  refresh: string;
}

async function ask(
  method: string,
  path: string,
  { ip, access }: Pick<Person, 'ip' | 'access'>,
  body?: object,
): Promise<Record<string, string>> {
  const headers = {
    ...{ accept: 'application/json', 'user-agent': userAgent, 'x-forwarded-for': ip },
    ...(access !== '' && { authorization: `Bearer ${access}` }),
    ...(body !== undefined && { 'content-type': 'application/json' }),
  };
  return new Promise((resolve, reject) => {
    const outgoing = request({ host: '127.0.0.1', port, method, path, headers, agent }, async (answer) => {
      let text = '';
      for await (const chunk of answer.setEncoding('utf8')) text += chunk;
      if ((answer.statusCode ?? 500) >= 300) reject(new Error(`${method} ${path} answered ${answer.statusCode}: ${text}`));
      else resolve(JSON.parse(text));
    });
    outgoing.once('error', reject);
    outgoing.end(body && JSON.stringify(body));
  });
}

const nobody = { ip: '127.0.0.1', access: '' };
while (!(await ask('GET', '/health/ready', nobody).then(Boolean, () => false))) await pause(100);

// --- what the database does for each ------------------------------------------------------------------------------------

const db = new pg.Client({ connectionString: url });
await db.connect();
await db.query('create extension if not exists pg_stat_statements');
const one = async (statement: string) => (await db.query(statement)).rows[0];

/** Processor time of a process and those that it has started, in milliseconds, as Linux tells it in hundredths of a second. */
function cpuOf(root: number): number {
  const fieldsOf = (pid: string) =>
    readFileSync(`/proc/${pid}/stat`, 'utf8')
      .replace(/^.*\) /, '')
      .split(' ')
      .map(Number);
  let total = 0;
  for (const pid of readdirSync('/proc').filter((each) => /^\d+$/.test(each))) {
    try {
      const fields = fieldsOf(pid);
      const [own, ended] = [(fields[11] ?? 0) + (fields[12] ?? 0), (fields[13] ?? 0) + (fields[14] ?? 0)];
      if (Number(pid) === root) total += (own + ended) * 10;
      else if (fields[1] === root) total += own * 10;
    } catch {} // It has ended meanwhile.
  }
  return total;
}
const backend: number = (await one('select pg_backend_pid() as pid')).pid;
const postmaster = Number(
  readFileSync(`/proc/${backend}/stat`, 'utf8')
    .replace(/^.*\) /, '')
    .split(' ')[1],
);

async function look() {
  await db.query('select pg_stat_force_next_flush()');
  const { calls } = await one(`select sum(calls)::float8 as calls from pg_stat_statements where query !~ 'pg_stat|^(begin|commit|rollback)'
    and dbid = (select oid from pg_database where datname = current_database())`);
  const { rows } = await one('select sum(n_tup_ins + n_tup_upd + n_tup_del)::float8 as rows from pg_stat_user_tables');
  const { commits } = await one('select xact_commit::float8 as commits from pg_stat_database where datname = current_database()');
  const { wal } = await one("select pg_wal_lsn_diff(pg_current_wal_lsn(), '0/0')::float8 as wal");
  return { at: performance.now(), calls, rows, commits, wal, database: cpuOf(postmaster), service: cpuOf(service.pid as number) };
}
type Look = Awaited<ReturnType<typeof look>>;
const measures = ['calls', 'rows', 'commits', 'wal', 'database', 'service'] as const;
const difference = (from: Look, to: Look) =>
  Object.fromEntries(measures.map((each) => [each, to[each] - from[each]])) as Record<(typeof measures)[number], number>;

/** Until the server's processes have told their statistics: one that is idle does so after ten seconds. */
const settled = () => pause(11_000);

async function idle(seconds: number) {
  await settled();
  const from = await look();
  await pause(seconds * 1000);
  await settled();
  const to = await look();
  const took = (to.at - from.at) / 1000;
  const spent = difference(from, to);
  return Object.fromEntries(measures.map((each) => [each, spent[each] / took])) as typeof spent;
}

const background = await idle(30);
console.log(
  `in the background, per second: ${background.calls.toFixed(1)} statements, ${background.rows.toFixed(2)} rows, ` +
    `processor ${background.database.toFixed(1)} ms database, ${background.service.toFixed(1)} ms service`,
);

let latest = await look();

async function measure(what: string, each: (person: Person) => Promise<void>): Promise<void> {
  const from = latest;
  for (const person of crowd) await each(person);
  await settled();
  const to = await look();
  latest = to;
  const seconds = (to.at - from.at) / 1000;
  const spent = difference(from, to);
  const per = (name: (typeof measures)[number]) => ((spent[name] - background[name] * seconds) / crowd.length).toFixed(1);
  console.log(
    `${what}: ${per('calls')} statements, ${per('rows')} rows written, ${per('commits')} commits, ${per('wal')} bytes of WAL, ` +
      `processor ${per('database')} ms database, ${per('service')} ms service`,
  );
}

const crowd: Person[] = Array.from({ length: people }, (_, index) => ({
  name: `person${index}`,
  ip: `10.${index}.7.9`,
  ...{ access: '', refresh: '' },
}));
const take = (person: Person, { accessToken = '', refreshToken = '' }: Record<string, string>) => {
  Object.assign(person, { access: accessToken, refresh: refreshToken });
};

await measure('registration, with its mail', async (person) => {
  await ask('POST', '/auth/register', person, { email: `${person.name}@example.com`, username: person.name, password });
  while (!links.has(`${person.name}@example.com`)) await pause(5);
});
await measure('login', async (person) => take(person, await ask('POST', '/auth/login', person, { username: person.name, password })));
await measure('confirmation', async (person) => void (await ask('GET', links.get(`${person.name}@example.com`) as string, person)));
await measure('refresh', async (person) => {
  const { refresh } = person;
  take(person, await ask('POST', '/auth/refresh', { ...person, access: '' }, { refreshToken: refresh }));
});
await measure('guarded request of a confirmed user', async (person) => void (await ask('GET', '/secret', person)));

// --- how many a second --------------------------------------------------------------------------------------------------

async function load(what: string, each: (person: Person) => Promise<unknown>): Promise<void> {
  await settled();
  const from = await look();
  const end = performance.now() + loadSeconds * 1000;
  let done = 0;
  await Promise.all(
    crowd.slice(0, lanes).map(async (person) => {
      for (; performance.now() < end; done += 1) await each(person);
    }),
  );
  const seconds = (performance.now() - from.at) / 1000;
  await settled();
  const spent = difference(from, await look());
  console.log(
    `${what}, ${lanes} at a time: ${Math.round(done / seconds)} a second, ${Math.round(spent.commits / seconds)} commits a second; ` +
      `processor for each ${(spent.database / done).toFixed(2)} ms database, ${(spent.service / done).toFixed(2)} ms service`,
  );
}
await load('refresh', async (person) => {
  const { refresh } = person;
  take(person, await ask('POST', '/auth/refresh', { ...person, access: '' }, { refreshToken: refresh }));
});
await load('guarded request', (person) => ask('GET', '/secret', person));

// --- how large ----------------------------------------------------------------------------------------------------------

const ended = once(service, 'close');
service.kill('SIGTERM');
await ended;
const hash = hashSync(password, defaultCosts);
await db.query('update users set password_hash = $1', [hash]);
async function columnsOf(table: string): Promise<string[]> {
  const { rows } = await db.query(
    "select column_name as name from information_schema.columns where table_schema = 'public' and table_name = $1",
    [table],
  );
  return rows.map(({ name }) => name);
}
for (const table of ['users', 'sessions', 'events', 'mails', 'known_networks', 'rate_limits']) {
  const columns = await columnsOf(table);
  const values = columns.map((name) => {
    if (name === 'id') return 'gen_random_uuid()';
    if (['email', 'email_canonical', 'username', 'username_canonical'].includes(name)) return `'somebody' || copy || '@example.com'`;
    if (name === 'network') return `md5(copy::text) || md5('n' || copy)`;
    if (name === 'key') return `one.key || copy`;
    return `one.${name}`;
  });
  await db.query('begin');
  await db.query(`create temporary table one on commit drop as select * from ${table} limit 1`);
  await db.query(
    `insert into ${table} (${columns.join(', ')}) select ${values.join(', ')} from one, generate_series(1, ${copies}) as copy`,
  );
  await db.query('commit');
  await db.query(`vacuum analyze ${table}`);
  const { bytes, count } = await one(
    `select pg_total_relation_size('${table}')::float8 as bytes, (select count(*) from ${table})::float8 as count`,
  );
  console.log(`${table}: ${Math.round(bytes / count)} bytes for each row, indexes included`);
}

await db.end();
agent.destroy();
sink.close();
await rm(dataDir, { recursive: true });
