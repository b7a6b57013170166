import { mkdtemp, readdir, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import t, { type Test } from 'tap';
import { freePort, startProcess } from './support/process.ts';

/** The entry, on a data directory of its own, with cheap hashing. */
async function startServer(t: Test, env: Readonly<Record<string, string>>, dataDir?: string) {
  const directory = dataDir ?? (await mkdtemp(join(tmpdir(), 'latchkey-test-')));
  if (dataDir === undefined) t.teardown(() => rm(directory, { recursive: true, force: true }));
  const cheapHashing = { ARGON2_MEMORY_KIB: '8', ARGON2_PASSES: '1' };
  return { directory, ...startProcess(t, { file: 'src/server.ts' }, { DATA_DIR: directory, ...cheapHashing, ...env }) };
}

t.test('a production that is configured by halves, and wrongly, is told all of it in one message, and does not start', async (t) => {
  const wrong = { PORT: '70000', LOG_LEVEL: 'loud', AUTH_SECRET: 'c4n4ry', PUBLIC_URL: 'http://accounts.example.com' };
  const server = await startServer(t, { NODE_ENV: 'production', MAIL_FROM: 'no-reply@example.com', ...wrong });
  t.same(await server.ended(), { code: 1, signal: null });
  for (const name of [...Object.keys(wrong), 'DATABASE_URL', 'SMTP_URL']) t.match(server.output.stderr, new RegExp(`^ *- ${name} `, 'm'));
  t.notMatch(server.output.stderr, /MAIL_FROM/);
  t.notMatch(server.output.stderr, /c4n4ry|loud|accounts/, 'values may be secret');
  t.notMatch(server.output.stderr, /^ +at /m, 'and a stack is of no use to an operator');
  t.equal(server.output.stdout, '');
  t.same(await readdir(server.directory), [], 'before anything is opened');
});

t.test('a newcomer is told where the service is, answered there, and can stop it', async (t) => {
  const port = await freePort();
  const server = await startServer(t, { PORT: String(port) });
  const base = `http://localhost:${port}`;
  await server.says(/dev\/mail\n/);
  const told = server.output.stdout.split('\n').filter((line) => line.includes(base) && !line.startsWith('{'));
  t.equal(told.length, 3);
  t.match(told[1], `${base}/docs`);
  t.match(told[2], `${base}/dev/mail`);
  for (const path of ['/', '/docs', '/dev/mail']) t.equal((await fetch(`http://127.0.0.1:${port}${path}`)).status, 200, path);

  const other = { HOST: '127.0.0.1', PORT: String(await freePort()) };
  const [sameDirectory, samePort] = await Promise.all([startServer(t, other, server.directory), startServer(t, { PORT: String(port) })]);
  t.same(await sameDirectory.ended(), { code: 1, signal: null }, 'nobody else gets its directory');
  t.match(sameDirectory.output.stderr, `${server.child.pid}`);
  t.same(await samePort.ended(), { code: 1, signal: null }, 'nor its port');
  t.match(samePort.output.stderr, 'EADDRINUSE');
  t.notOk((await readdir(samePort.directory)).includes('lock'), 'and who failed holds nothing');
  for (const { output } of [sameDirectory, samePort]) t.notMatch(output.stderr, /^ +at /m);

  server.child.kill('SIGTERM');
  t.same(await server.ended(), { code: 0, signal: null });
  t.equal(server.output.stderr, '');
});
