import { chmod, mkdtemp, readdir, readFile, rm, stat, truncate, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import t, { type Test } from 'tap';
import { loadGeneratedSecret, openDataDirectory } from '../src/data-directory.ts';

async function temporaryDirectory(t: Test): Promise<string> {
  const directory = await mkdtemp(join(tmpdir(), 'latchkey-test-'));
  t.teardown(() => rm(directory, { recursive: true, force: true }));
  return directory;
}

const modeOf = async (path: string) => (await stat(path)).mode & 0o777;

t.test('the data directory is for its user alone, even if it was there before', async (t) => {
  const directory = join(await temporaryDirectory(t), 'a', 'b');
  await openDataDirectory(directory);
  t.equal(await modeOf(directory), 0o700);
  await writeFile(join(directory, 'kept'), 'kept');
  await chmod(directory, 0o755);
  await openDataDirectory(directory);
  t.equal(await modeOf(directory), 0o700);
  t.equal(await readFile(join(directory, 'kept'), 'utf8'), 'kept');
});

t.test('a secret is generated once, and is found again', async (t) => {
  const [directory, other] = [await temporaryDirectory(t), await temporaryDirectory(t)];
  const secret = await loadGeneratedSecret(directory);
  t.equal(Buffer.from(secret, 'base64url').length, 48);
  t.equal(await loadGeneratedSecret(directory), secret);
  t.not(await loadGeneratedSecret(other), secret);
  t.equal(await modeOf(join(directory, 'secret')), 0o600);
});

t.test('processes that ask at once get the same secret, and leave nothing behind', async (t) => {
  const directory = await temporaryDirectory(t);
  const secrets = await Promise.all(Array.from({ length: 20 }, () => loadGeneratedSecret(directory)));
  t.equal(new Set(secrets).size, 1);
  t.same(await readdir(directory), ['secret']);
});

t.test('J03: a secret that lost its end is refused, and not replaced', async (t) => {
  const directory = await temporaryDirectory(t);
  const path = join(directory, 'secret');
  await loadGeneratedSecret(directory);
  for (const length of [63, 10, 0]) {
    await truncate(path, length);
    await t.rejects(loadGeneratedSecret(directory), { message: /AUTH_SECRET/ });
    t.equal((await stat(path)).size, length);
  }
});

t.test('a directory that cannot be written is told of', async (t) => {
  const directory = await temporaryDirectory(t);
  await t.rejects(loadGeneratedSecret(join(directory, 'missing')), { code: 'ENOENT' });
  await t.rejects(openDataDirectory(join(directory, 'a\0b')));
});
