import { TLSSocket } from 'node:tls';
import type pg from 'pg';
import type { Clock } from '../clock.ts';
import { serverTimeouts } from '../db/client.ts';
import { durabilitySettings } from '../db/durability.ts';
import { type Finding, findingsAbout } from './finding.ts';
import { isLocalServer } from './hosts.ts';

const { ok, warning, error } = findingsAbout('database');

/** A server that has let us in. */
export interface DatabaseServer {
  ask<Row extends object>(text: string, parameters?: unknown[]): Promise<Row[]>;
  readonly client: pg.Client;
  readonly url: string;
  readonly clock: Clock;
  readonly poolSize: number;
  /** Whether there is a pooler in between, which does not pass on what a connection begins with. */
  readonly isPooled: boolean;
  /** Of the role and the database, quoted for SQL. */
  readonly names: { readonly role: string; readonly database: string };
}

type ServerCheck = (server: DatabaseServer) => Finding[] | Promise<Finding[]>;

export const serverChecks: readonly ServerCheck[] = [
  checkVersion,
  checkEncryption,
  checkEncoding,
  checkWrites,
  checkDurability,
  checkTimes,
  checkTimeouts,
  checkDeadlocks,
  checkConnections,
];

const oldestVersion = 14;
const testedVersion = 15;

async function checkVersion({ ask }: DatabaseServer): Promise<Finding[]> {
  const [row] = await ask<{ number: string }>(`select current_setting('server_version_num') as number`);
  return [tellVersion(Number(row?.number))];
}

/** @param number as the server counts: 150004 is 15.4 */
export function tellVersion(number: number): Finding {
  const [major, minor] = [Math.floor(number / 10_000), number % 10_000];
  if (major < oldestVersion) return error(`PostgreSQL ${major}.${minor} is too old: ${oldestVersion} or newer is needed`);
  return ok(`PostgreSQL ${major}.${minor}${major === testedVersion ? '' : ` (tested with ${testedVersion})`}`);
}

/** As our end of the connection sees it: pg_stat_ssl would tell of the pooler's. */
function checkEncryption({ client, url }: DatabaseServer): Finding[] {
  const { searchParams } = new URL(url);
  const { stream } = client.connection;
  if (stream instanceof TLSSocket && stream.authorized) {
    return [ok(`the connection is encrypted (${stream.getProtocol()}), and leads to the right server`)];
  }
  if (isLocalServer(url)) return [];
  const hasMode = searchParams.has('sslmode') || searchParams.has('ssl');
  const mend = hasMode
    ? 'DATABASE_URL=postgres://USER:PASSWORD@HOST:5432/NAME?sslmode=verify-full'
    : `DATABASE_URL="$DATABASE_URL${url.includes('?') ? '&' : '?'}sslmode=verify-full"`;
  if (!(stream instanceof TLSSocket)) return [warning('the connection is not encrypted, and leads over a network', mend)];
  return [warning('nobody checks whether the connection leads to the right server', mend)];
}

async function checkEncoding({ ask }: DatabaseServer): Promise<Finding[]> {
  const [row] = await ask<{ encoding: string }>(`select current_setting('server_encoding') as encoding`);
  if (row?.encoding === 'UTF8') return [];
  const what = `the encoding is ${row?.encoding}: names that it has no characters for cannot be stored`;
  return [error(what, `CREATE DATABASE latchkey_utf8 ENCODING 'UTF8' TEMPLATE template0;`)];
}

async function checkWrites({ ask, names }: DatabaseServer): Promise<Finding[]> {
  const [row] = await ask<{ inRecovery: boolean; value: string; source: string }>(
    `select pg_is_in_recovery() as "inRecovery", setting as value, source from pg_settings where name = 'default_transaction_read_only'`,
  );
  if (row?.inRecovery)
    return [error('this is a standby, which takes no writes', 'DATABASE_URL=postgres://USER:PASSWORD@PRIMARY:5432/NAME')];
  if (row?.value !== 'on') return [];
  const mend = change({ name: 'default_transaction_read_only', to: 'off', source: row.source }, names);
  return [error('the server takes no writes (default_transaction_read_only)', mend)];
}

async function checkDurability({ ask, names }: DatabaseServer): Promise<Finding[]> {
  const rows = await ask<{ name: string; source: string }>(
    `select name, source from pg_settings where name = any($1) and setting = 'off' order by name`,
    [durabilitySettings],
  );
  return rows.map(({ name, source }) => {
    const what = `a crash of the server may undo what it has acknowledged (${name} = off)`;
    const mend = change({ name, to: 'on', source }, names);
    // Some storage keeps what it was given without being asked to, and loses nothing by the others.
    return name === 'synchronous_commit' ? error(what, mend) : warning(`${what}, unless its storage sees to that`, mend);
  });
}

interface Change {
  readonly name: string;
  readonly to: string;
  /** Where the setting was made, as pg_settings tells it. */
  readonly source: string;
}

/** Changes a setting where it was made: what is nearer to the connection outranks the server's own files. */
function change({ name, to, source }: Change, { role, database }: DatabaseServer['names']): string {
  // Quoted for SQL alone.
  const bare = to.replaceAll("'", '');
  const places: Readonly<Record<string, string>> = {
    'command line': `postgres -c ${name}=${bare}`,
    global: `ALTER ROLE ALL RESET ${name};`,
    database: `ALTER DATABASE ${database} RESET ${name};`,
    user: `ALTER ROLE ${role} RESET ${name};`,
    'database user': `ALTER ROLE ${role} IN DATABASE ${database} RESET ${name};`,
    client: `DATABASE_URL=postgres://USER:PASSWORD@HOST:5432/NAME?options=-c%20${name}%3D${bare}`,
  };
  return places[source] ?? `ALTER SYSTEM SET ${name} = ${to};\nSELECT pg_reload_conf();`;
}

const probes = 5;

async function checkTimes({ ask, clock }: DatabaseServer): Promise<Finding[]> {
  const rounds = [];
  for (let count = 0; count < probes; count += 1) {
    const [sent, start] = [clock.now().getTime(), performance.now()];
    const [row] = await ask<{ now: string }>('select extract(epoch from clock_timestamp()) * 1000 as now');
    const tookMs = performance.now() - start;
    rounds.push({ tookMs, aheadMs: sent + tookMs / 2 - Number(row?.now) });
  }
  const [fastest, , median] = rounds.sort((one, other) => one.tookMs - other.tookMs);
  // What an answer took may all have been on the way there, or back.
  const { tookMs = 0, aheadMs = 0 } = fastest ?? {};
  return [tellLatency(median?.tookMs ?? 0), tellClock(Math.sign(aheadMs) * Math.max(0, Math.abs(aheadMs) - tookMs / 2))];
}

export function tellLatency(ms: number): Finding {
  const what = `the server answers in ${ms.toFixed(1)} ms`;
  if (ms > 100) return error(`${what}: a login waits for several answers`);
  return ms > 5 ? warning(`${what}: it is far away, or busy`) : ok(what);
}

/** @param aheadMs by how much at least this machine's clock is ahead of the server's */
function tellClock(aheadMs: number): Finding {
  const seconds = Math.abs(aheadMs) / 1000;
  if (seconds <= 1) return ok('the clocks agree');
  const what = `the clock of this machine is ${seconds.toFixed(1)} s ${aheadMs > 0 ? 'ahead of' : 'behind'} the server's`;
  return (seconds > 30 ? error : warning)(what, 'timedatectl set-ntp true');
}

/** What the service says when it connects; behind a pooler, the role has to. */
async function checkTimeouts({ ask, isPooled, names: { role } }: DatabaseServer): Promise<Finding[]> {
  if (!isPooled) return [];
  const rows = await ask<{ name: string }>(`select name from pg_settings where name = any($1) and setting = '0'`, [
    Object.keys(serverTimeouts),
  ]);
  if (rows.length === 0) return [ok('there is a pooler before the server, and the role brings the time-outs')];
  const missing = Object.entries(serverTimeouts).filter(([name]) => rows.some((row) => row.name === name));
  const mend = missing.map(([name, ms]) => `ALTER ROLE ${role} SET ${name} = '${ms / 1000}s';`).join('\n');
  return [warning(`behind this pooler nothing ends what takes too long: no ${missing.map(([name]) => name).join(', ')}`, mend)];
}

/** Transactions of which the server knows that they wait for each other are run again; who merely waits too long is not. */
async function checkDeadlocks({ ask, isPooled, names }: DatabaseServer): Promise<Finding[]> {
  const rows = await ask<{ name: string; ms: number; source: string }>(
    `select name, setting::int as ms, source from pg_settings where name in ('deadlock_timeout', 'lock_timeout')`,
  );
  const setting = (name: string) => rows.find((row) => row.name === name) ?? { ms: 0, source: '' };
  const [{ ms: lookedForMs, source }, ours] = [setting('deadlock_timeout'), serverTimeouts.lock_timeout];
  const waitMs = isPooled ? setting('lock_timeout').ms : ours;
  if (waitMs === 0 || lookedForMs < waitMs) return [];
  const what = `deadlocks are looked for after ${lookedForMs / 1000} s, but the wait for a lock ends after ${waitMs / 1000} s: they are not run again`;
  const isLate = lookedForMs >= ours;
  const mend = isLate
    ? change({ name: 'deadlock_timeout', to: "'1s'", source }, names)
    : `ALTER ROLE ${names.role} SET lock_timeout = '${ours / 1000}s';`;
  return [warning(what, mend)];
}

/** A pooler shares out connections by its own rules. */
async function checkConnections({ ask, poolSize, isPooled }: DatabaseServer): Promise<Finding[]> {
  if (isPooled) return [];
  const [row] = await ask<{ most: number }>(
    `select least(
       (select sum(case name when 'max_connections' then setting::int else -setting::int end) from pg_settings
         where name in ('max_connections', 'superuser_reserved_connections', 'reserved_connections')),
       (select nullif(rolconnlimit, -1) from pg_roles where rolname = current_user),
       (select nullif(datconnlimit, -1) from pg_database where datname = current_database()))::int as most`,
  );
  const [most, wanted] = [row?.most ?? 0, poolSize + 1];
  if (wanted <= most) return [ok(`of the server's ${most} connections, each instance takes ${wanted} at most`)];
  const what = `each instance takes up to ${wanted} connections, but there are ${most} in all`;
  return [warning(what, most > 1 ? `DATABASE_POOL_SIZE=${most - 1}` : 'ALTER SYSTEM SET max_connections = 100;')];
}
