import { Socket } from 'node:net';
import { setTimeout as pause } from 'node:timers/promises';
import pg from 'pg';
import type { Clock } from '../clock.ts';
import type { Config } from '../config.ts';
import { traitsOf } from '../db/client.ts';
import { isDatabaseUnavailable } from '../db/unavailable.ts';
import { certificateFault } from './certificates.ts';
import { checkSchema } from './database-schema.ts';
import { type DatabaseServer, serverChecks } from './database-server.ts';
import { type Finding, findingsAbout, nameOf } from './finding.ts';
import { isMisspelt } from './hosts.ts';

const { ok, error } = findingsAbout('database');

export async function checkDatabase(config: Config, clock: Clock): Promise<Finding[]> {
  const { databaseUrl: url, databasePoolSize: poolSize, dataDir } = config;
  if (url === undefined) return [ok(`DATABASE_URL is not set: the embedded database in ${dataDir} is used, by one process at a time`)];
  if (isMisspelt(url)) return [];
  const opened = await open(url);
  if ('failure' in opened) return [opened.failure];
  const { client, close, ms } = opened;
  try {
    const ask: DatabaseServer['ask'] = async (text, parameters = []) => (await client.query(text, parameters)).rows;
    const [names] = await ask<DatabaseServer['names']>(
      'select quote_ident(current_user) as role, quote_ident(current_database()) as database',
    );
    const isPooled = !(await traitsOf(url)).takesTimeouts;
    const server = { ask, client, url, clock, poolSize, isPooled, names: names as DatabaseServer['names'] };
    return [ok(`connected in ${ms} ms`), ...(await runAll(server))];
  } finally {
    await close();
  }
}

/** One after the other, on one connection; when that is lost, the rest cannot be known. */
async function runAll(server: DatabaseServer): Promise<Finding[]> {
  const findings: Finding[] = [];
  for (const check of [...serverChecks, checkSchema]) {
    try {
      findings.push(...(await check(server)));
    } catch (cause) {
      findings.push(error(`a question was not answered: ${nameOf(cause)}`));
      if (isDatabaseUnavailable(cause)) break;
    }
  }
  return findings;
}

async function open(url: string) {
  // Our own socket, to be let go of even when the server says nothing any more.
  const socket = new Socket();
  try {
    const client = new pg.Client({
      connectionString: url,
      connectionTimeoutMillis: 5000,
      query_timeout: 4000,
      application_name: 'latchkey doctor',
      stream: () => socket,
    });
    client.on('error', () => {});
    const start = performance.now();
    await client.connect();
    const ms = Math.round(performance.now() - start);
    const close = async () => {
      await Promise.race([client.end(), pause(1000, undefined, { ref: false })]);
      socket.destroy();
    };
    return { client, ms, close };
  } catch (cause) {
    socket.destroy();
    return { failure: tellFailure(cause, url) };
  }
}

/** What PostgreSQL says at the door (appendix A of its manual), by its codes. */
const refusals: Readonly<Record<string, readonly [what: string, mend?: string]>> = {
  '28P01': ['the server refuses the user or the password', 'DATABASE_URL=postgres://USER:PASSWORD@HOST:5432/NAME'],
  28000: [
    'the server lets this user not in from here: there is no such role, or pg_hba.conf has no line for it',
    'CREATE ROLE "USER" LOGIN;',
  ],
  42501: ['the role may not connect to this database', 'GRANT CONNECT ON DATABASE "NAME" TO "USER";'],
  53300: ['the server has no connection left: its max_connections are in use'],
  '57P03': ['the server is starting or recovering, and takes no connections yet'],
};

function tellFailure(cause: unknown, url: string): Finding {
  const code = nameOf(cause);
  const refusal = refusals[code];
  if (refusal) return error(...refusal);
  if (code === '3D000') {
    const database = decodeURIComponent(new URL(url).pathname.slice(1)).replaceAll('"', '""');
    return error('there is no such database', `CREATE DATABASE "${database}" ENCODING 'UTF8' TEMPLATE template0;`);
  }
  const fault = certificateFault(cause);
  if (fault) {
    const mend = fault.isUntrusted ? `DATABASE_URL="$DATABASE_URL${separator(url)}sslrootcert=/PATH/ca.pem"` : undefined;
    return error(`the server is not trusted: ${fault.what}`, mend);
  }
  // The driver has no code for this.
  if ((cause as Error).message === 'The server does not support SSL connections') {
    return error('the server speaks no TLS, which DATABASE_URL demands', 'ALTER SYSTEM SET ssl = on;\nSELECT pg_reload_conf();');
  }
  return error(`the server cannot be reached: ${code}`, 'DATABASE_URL=postgres://USER:PASSWORD@HOST:5432/NAME');
}

function separator(url: string): '?' | '&' {
  return url.includes('?') ? '&' : '?';
}
