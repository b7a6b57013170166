import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { existsSync } from 'node:fs';
import { writeFile } from 'node:fs/promises';
import { connect } from 'node:net';
import { join } from 'node:path';
import type { Test } from 'tap';
import type { Cluster } from './cluster.ts';
import { eventually } from './eventually.ts';
import { freePort } from './process.ts';

const executable = '/usr/sbin/pgbouncer';

/** Why a test that needs PgBouncer is left out; false when it is not. In CI there always is one. */
export const noPgBouncer = existsSync(executable) || process.env['CI'] !== undefined ? false : `there is no PgBouncer at ${executable}`;

/**
 * Starts a real PgBouncer before a server, in transaction mode with a single connection to it, so that every client meets
 * what the others have left on it.
 *
 * @param settings more lines of its configuration
 * @returns the address to use instead of the server's
 */
export async function startPgBouncer(
  t: Test,
  { port: serverPort, directory }: Pick<Cluster, 'port' | 'directory'>,
  settings = '',
): Promise<string> {
  const port = await freePort();
  const file = join(t.testdir(), 'pgbouncer.ini');
  const users = join(t.testdirName, 'users.txt');
  await writeFile(users, '"postgres" ""\n', { mode: 0o644 });
  await writeFile(
    file,
    `[databases]
postgres = host=127.0.0.1 port=${serverPort} user=postgres
[pgbouncer]
listen_addr = 127.0.0.1
listen_port = ${port}
unix_socket_dir =
auth_type = any
pool_mode = transaction
default_pool_size = 1
max_client_conn = 100
${settings}
`,
    { mode: 0o644 },
  );
  const isRoot = process.getuid?.() === 0;
  const child = spawn(executable, isRoot ? ['-u', 'postgres', file] : [file], { cwd: directory, stdio: ['ignore', 'ignore', 'pipe'] });
  let said = '';
  child.stderr.setEncoding('utf8').on('data', (text: string) => {
    said += text;
  });
  const end = once(child, 'close');
  t.teardown(async () => {
    child.kill('SIGTERM');
    child.kill('SIGTERM');
    await end;
  });
  await eventually('PgBouncer answers', async () => {
    if (child.exitCode !== null) throw new Error(`PgBouncer ended with ${child.exitCode}: ${said}`);
    const socket = connect(port, '127.0.0.1');
    const answers = await Promise.race([once(socket, 'connect').then(() => true), once(socket, 'error').then(() => false)]).catch(
      () => false,
    );
    socket.destroy();
    return answers;
  });
  return `postgres://postgres@127.0.0.1:${port}/postgres`;
}
