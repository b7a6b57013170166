import { randomUUID } from 'node:crypto';
import { cpSync } from 'node:fs';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import pg from 'pg';
import type { Test } from 'tap';

/** The template is an embedded database whose schema is up to date, to be copied instead of made. */
const { TEST_DATABASE_URL, TEST_DATABASE_TEMPLATE } = process.env;

/** Whether the suite runs on a PostgreSQL server, where transactions really are concurrent. */
export const onServer = TEST_DATABASE_URL !== undefined;

/** A database for one service: variables that make it use one of its own, of whichever engine the suite runs on. */
export async function createDatabase(t: Test): Promise<Record<string, string>> {
  const dataDir = await mkdtemp(join(tmpdir(), 'latchkey-test-'));
  t.teardown(() => rm(dataDir, { recursive: true, force: true }));
  if (TEST_DATABASE_TEMPLATE !== undefined) cpSync(TEST_DATABASE_TEMPLATE, join(dataDir, 'data', 'database'), { recursive: true });
  return {
    DATA_DIR: join(dataDir, 'data'),
    ...(TEST_DATABASE_URL !== undefined && { DATABASE_URL: await createOnServer(t, TEST_DATABASE_URL) }),
  };
}

/**
 * A database whose service waits half a minute for locks and answers, and does not end idle transactions: for tests that hold it up
 * until they have seen it wait.
 */
export async function createPatientDatabase(t: Test): Promise<Record<string, string>> {
  const { DATABASE_URL, ...others } = await createDatabase(t);
  if (DATABASE_URL === undefined) return others;
  const patience = { lock_timeout: 30_000, statement_timeout: 30_000, query_timeout: 40_000, idle_in_transaction_session_timeout: 60_000 };
  return { ...others, DATABASE_URL: withParameters(DATABASE_URL, patience) };
}

/** The address of a database with more parameters, which come before those that a service sets itself. */
export function withParameters(url: string, parameters: Readonly<Record<string, string | number>>): string {
  const extended = new URL(url);
  for (const [name, value] of Object.entries(parameters)) extended.searchParams.set(name, String(value));
  return extended.href;
}

async function createOnServer(t: Test, url: string): Promise<string> {
  const name = `latchkey_${randomUUID().replaceAll('-', '')}`;
  await query(url, `create database ${name}`);
  t.teardown(() => query(url, `drop database if exists ${name} with (force)`));
  return Object.assign(new URL(url), { pathname: `/${name}` }).href;
}

/** Runs one statement on a server, on a connection of its own. */
export async function query(url: string, statement: string, parameters: unknown[] = []): Promise<pg.QueryResult> {
  const client = new pg.Client({ connectionString: url });
  await client.connect();
  try {
    return await client.query(statement, parameters);
  } finally {
    await client.end();
  }
}
