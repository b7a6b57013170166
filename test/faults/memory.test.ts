import { readFile } from 'node:fs/promises';
import { availableParallelism } from 'node:os';
import t from 'tap';
import { createDatabase, onServer } from '../support/database.ts';
import { eventually } from '../support/eventually.ts';
import { createForeignClient } from '../support/http.ts';
import { startMailServer } from '../support/mail-server.ts';
import { createMemoryGroup } from '../support/memory-limit.ts';
import { confirmedPerson, logIn, newDetails } from '../support/person.ts';
import { freePort, startProcess } from '../support/process.ts';

const mebibyte = 1024 ** 2;
const argon2MiB = 64;
/** More than there are cores: not threads decide how many hash at a time, but permits. */
const threads = 16;
/** For the requests of the flood, and what V8 has not collected yet. */
const slackMiB = 128;

/** Of this process, the most that has been resident so far, in bytes. */
async function peakOf(pid: number): Promise<number> {
  const [, kibibytes] = /^VmHWM:\s+(\d+) kB$/m.exec(await readFile(`/proc/${pid}/status`, 'utf8')) ?? [];
  return Number(kibibytes) * 1024;
}

const skip = process.platform === 'linux' ? !onServer && 'needs a PostgreSQL server' : 'the memory of a process is read from /proc';

t.test('Z30: a flood of logins takes the memory of as many hashes as there are permits, and no more', { skip }, async (t) => {
  const group = await createMemoryGroup(t);
  const isLimited = 'members' in group;
  if (!isLimited) t.comment(`the limit is only looked at, not enforced: ${group.missing}`);
  const [database, mailServer, port] = await Promise.all([createDatabase(t), startMailServer(t), freePort()]);
  const join = isLimited ? `echo $$ > ${group.members} && ` : '';
  const { child } = startProcess(
    t,
    { command: ['bash', '-c', `${join}exec ${process.execPath} --import=./scripts/typescript.js src/server.ts`] },
    {
      ...database,
      ...{ SMTP_URL: mailServer.url, PORT: String(port), RATE_LIMIT: 'off', LOG_LEVEL: 'warn' },
      ...{ ARGON2_MEMORY_KIB: String(argon2MiB * 1024), ARGON2_PASSES: '2', UV_THREADPOOL_SIZE: String(threads) },
    },
  );
  const service = { ...createForeignClient(`http://127.0.0.1:${port}`), mailServer };
  await untilListening(service);
  const person = await confirmedPerson(service);
  const token = await logIn(service, person);

  // Some of it, one hash at a time: what is resident then is the base, with one hash in it.
  for (let count = 0; count < 5; count += 1) await logIn(service, person);
  const permits = Math.min(availableParallelism(), threads - 1);
  // For each permit, some fifty may wait.
  const flood = 150 * permits;
  const bound = (await peakOf(child.pid as number)) + ((permits - 1) * argon2MiB + slackMiB) * mebibyte;
  if (isLimited) await group.limit(bound);
  let hasEnded = false;
  const attempts = Promise.all(
    Array.from({ length: flood }, async () => {
      const { email, password } = newDetails();
      return (await service.post('/auth/login', { email, password })).status;
    }),
  ).finally(() => {
    hasEnded = true;
  });
  const others = new Set<number>();
  while (!hasEnded) {
    others.add((await service.get('/secret', { token })).status);
  }
  const statuses = new Set(await attempts);
  t.strictSame([...others], [200], 'whoever is inside is answered meanwhile');
  t.strictSame([...statuses].sort(), [401, 503], 'some were served, and others turned away');
  const peak = await peakOf(child.pid as number);
  t.ok(peak <= bound, `${(peak / mebibyte).toFixed(0)} MiB of at most ${(bound / mebibyte).toFixed(0)}`);
  if (isLimited) t.equal(await group.killed(), 0, 'the kernel has ended nobody');
  t.equal(child.exitCode ?? child.signalCode, null);
});

async function untilListening(service: Pick<ReturnType<typeof createForeignClient>, 'get'>): Promise<void> {
  await eventually(
    'it listens',
    () =>
      service.get('/health/live').then(
        ({ status }) => status === 200,
        () => false,
      ),
    60_000,
  );
}
