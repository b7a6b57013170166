import { once } from 'node:events';
import { chmod, mkdtemp, readdir, readFile, rm, stat, utimes, writeFile } from 'node:fs/promises';
import { hostname, tmpdir } from 'node:os';
import { join } from 'node:path';
import t, { type Test } from 'tap';
import { lockDirectory } from '../../src/db/directory-lock.ts';
import { type RunningProcess, startProcess } from '../support/process.ts';

const module = new URL('../../src/db/directory-lock.ts', import.meta.url).href;

async function temporaryDirectory(t: Test): Promise<string> {
  const directory = await mkdtemp(join(tmpdir(), 'latchkey-test-'));
  t.teardown(() => rm(directory, { recursive: true, force: true }));
  return directory;
}

/** A process that tries to take the lock, says how it went, and stays. */
function startHolder(t: Test, directory: string): RunningProcess {
  const script = `
    import { lockDirectory } from ${JSON.stringify(module)};
    setInterval(() => {}, 1000);
    await lockDirectory(${JSON.stringify(directory)}).then(() => console.log('locked'), ({ name }) => console.log(name));
  `;
  return startProcess(t, { script }, {});
}

/** A lock as some process would have left it. */
async function leaveLock(directory: string, holder: unknown): Promise<string> {
  const path = join(directory, 'lock');
  await writeFile(path, typeof holder === 'string' ? holder : JSON.stringify(holder));
  return path;
}

t.test('a directory is taken once, and again when it was given back', async (t) => {
  const directory = await temporaryDirectory(t);
  const unlock = await lockDirectory(directory);
  t.equal((await stat(join(directory, 'lock'))).mode & 0o777, 0o600);
  await t.rejects(lockDirectory(directory), { name: 'DirectoryLockedError', message: new RegExp(`${process.pid}`) });
  await unlock();
  t.same(await readdir(directory), []);
  await (await lockDirectory(directory))();
});

t.test('a directory that another process has is refused, until that process is killed', async (t) => {
  const directory = await temporaryDirectory(t);
  const holder = startHolder(t, directory);
  await holder.says(/locked/);
  await t.rejects(lockDirectory(directory), { name: 'DirectoryLockedError', message: new RegExp(`${holder.child.pid}`) });
  holder.child.kill('SIGKILL');
  await once(holder.child, 'close');
  const unlock = await lockDirectory(directory);
  t.match(JSON.parse(await readFile(join(directory, 'lock'), 'utf8')), { pid: process.pid });
  t.same(await readdir(directory), ['lock'], 'nothing is left of the dead one');
  await unlock();
});

t.test('of several processes that find a dead one’s lock, one gets the directory', async (t) => {
  const directory = await temporaryDirectory(t);
  const dead = startHolder(t, directory);
  await dead.says(/locked/);
  dead.child.kill('SIGKILL');
  await once(dead.child, 'close');
  const heirs = [1, 2, 3].map(() => startHolder(t, directory));
  const outcomes = await Promise.all(heirs.map((heir) => heir.says(/locked|DirectoryLockedError/)));
  t.same(outcomes.map(([word]) => word).sort(), ['DirectoryLockedError', 'DirectoryLockedError', 'locked']);
});

t.test('a later process with the id of a dead one does not keep its lock alive', async (t) => {
  const directory = await temporaryDirectory(t);
  await (await lockDirectory(directory))();
  const unlock = await lockDirectory(directory);
  const own = JSON.parse(await readFile(join(directory, 'lock'), 'utf8'));
  await unlock();

  const path = await leaveLock(directory, own);
  await t.rejects(lockDirectory(directory), { name: 'DirectoryLockedError' }, 'this process, since it started, is alive');
  if (own.started === null) return t.comment('the system does not tell when a process started');
  await rm(path);
  await leaveLock(directory, { ...own, started: '1' });
  await (await lockDirectory(directory))();
});

t.test('a lock that cannot be judged is respected', async (t) => {
  const elsewhere = { pid: 999_999_999, host: `not-${hostname()}`, started: null };
  const unclear = [
    elsewhere,
    { ...elsewhere, pid: process.pid },
    '',
    'no JSON',
    'null',
    '{}',
    { pid: '1', host: hostname() },
    { pid: 1.5, host: hostname() },
    { pid: 1 },
  ];
  for (const holder of unclear) {
    const directory = await temporaryDirectory(t);
    const path = await leaveLock(directory, holder);
    await t.rejects(lockDirectory(directory), { name: 'DirectoryLockedError', message: path });
    t.ok(await stat(path), 'and stays');
  }
});

t.test('one that died while it took over is not waited for', async (t) => {
  const directory = await temporaryDirectory(t);
  const turn = `${await leaveLock(directory, { pid: 999_999_999, host: hostname(), started: null })}.turn`;
  await writeFile(turn, '');
  const longAgo = new Date(Date.now() - 11_000);
  await utimes(turn, longAgo, longAgo);
  await (await lockDirectory(directory))();
  t.same(await readdir(directory), []);
});

t.test('a process that is gone does not keep its lock', async (t) => {
  const directory = await temporaryDirectory(t);
  await leaveLock(directory, { pid: 999_999_999, host: hostname(), started: null });
  await (await lockDirectory(directory))();
  t.same(await readdir(directory), []);
});

t.test('a directory in which no lock can be made is told of', async (t) => {
  const directory = await temporaryDirectory(t);
  await t.rejects(lockDirectory(join(directory, 'missing')), { code: 'ENOENT' });
  await chmod(directory, 0o700);
  await writeFile(join(directory, 'file'), '');
  await t.rejects(lockDirectory(join(directory, 'file')), { code: 'ENOTDIR' });
});
