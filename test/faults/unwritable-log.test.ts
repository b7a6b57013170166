import { execFileSync, spawn } from 'node:child_process';
import { once } from 'node:events';
import { closeSync, openSync } from 'node:fs';
import { join } from 'node:path';
import t, { type Test } from 'tap';
import { createDatabase, onServer } from '../support/database.ts';
import { eventually } from '../support/eventually.ts';
import { freePort } from '../support/process.ts';

/** An instance whose log goes to an open file, and which ends with the test. */
async function startLoggingTo(t: Test, fd: number) {
  const port = await freePort();
  const database = await createDatabase(t);
  const env = { PATH: process.env['PATH'], ...database, DATA_DIR: t.testdir(), PORT: String(port), SHUTDOWN_DELAY_SECONDS: '0' };
  const child = spawn(process.execPath, ['--import=./scripts/typescript.js', 'src/server.ts'], { env, stdio: ['ignore', fd, 'ignore'] });
  const end = once(child, 'close');
  t.teardown(async () => {
    child.kill('SIGKILL');
    await end;
    closeSync(fd);
  });
  const url = `http://127.0.0.1:${port}`;
  const isLive = () =>
    fetch(`${url}/health/live`).then(
      ({ ok }) => ok,
      () => false,
    );
  await eventually('it answers', isLive, 60_000);
  return { url, child, end };
}

t.test('Z32: an instance whose log cannot be written', { skip: !onServer && 'needs a PostgreSQL server' }, async (t) => {
  const pipe = join(t.testdir(), 'pipe');
  execFileSync('mkfifo', [pipe]);
  const outputs = { 'since nobody reads it': openSync(pipe, 'r+'), 'since the disk is full': openSync('/dev/full', 'w') };
  for (const [why, fd] of Object.entries(outputs)) {
    t.test(`${why}, answers and ends in order`, async (t) => {
      const { url, child, end } = await startLoggingTo(t, fd);
      // A pipe takes 64 KiB; each request is a line of some 200 bytes.
      for (let round = 0; round < 20; round += 1) {
        const answers = await Promise.all(Array.from({ length: 50 }, () => fetch(`${url}/auth/me`)));
        if (answers.some(({ status }) => status !== 401)) t.fail(`${answers.map(({ status }) => status)}`);
        await Promise.all(answers.map((answer) => answer.text()));
      }
      child.kill('SIGTERM');
      t.strictSame(await end, [0, null]);
    });
  }
});
