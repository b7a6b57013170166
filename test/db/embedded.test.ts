import { once } from 'node:events';
import { mkdir, mkdtemp, readdir, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import t, { type Test } from 'tap';
import { openEmbeddedDatabase } from '../../src/db/embedded.ts';
import { roles } from '../../src/db/schema.ts';
import { startProcess } from '../support/process.ts';

const quiet = () => {};

async function temporaryDirectory(t: Test): Promise<string> {
  const directory = await mkdtemp(join(tmpdir(), 'latchkey-test-'));
  t.teardown(() => rm(directory, { recursive: true, force: true }));
  return directory;
}

async function namesOfRoles(directory: string): Promise<string[]> {
  const database = await openEmbeddedDatabase(directory, quiet);
  try {
    return (await database.db.select().from(roles)).map(({ name }) => name);
  } finally {
    await database.close();
  }
}

/** A process that opens the database, writes a row, says so, and stays. */
function startWriter(t: Test, directory: string, role: string) {
  const source = (path: string) => JSON.stringify(new URL(`../../src/db/${path}`, import.meta.url).href);
  const script = `
    import { openEmbeddedDatabase } from ${source('embedded.ts')};
    import { roles } from ${source('schema.ts')};
    setInterval(() => {}, 1000);
    try {
      const { db } = await openEmbeddedDatabase(${JSON.stringify(directory)}, () => {});
      await db.insert(roles).values({ name: ${JSON.stringify(role)} });
      console.log('written');
    } catch ({ name }) {
      console.log(name);
    }
  `;
  return startProcess(t, { script }, {});
}

t.test('a database is for one process at a time, and survives a restart', async (t) => {
  const directory = await temporaryDirectory(t);
  const database = await openEmbeddedDatabase(directory, quiet);
  await database.db.insert(roles).values({ name: 'gardener' });
  const [answer] = await startWriter(t, directory, 'intruder').says(/written|\w+Error/);
  t.equal(answer, 'DirectoryLockedError');
  await database.close();
  t.notOk((await readdir(directory)).includes('lock'), 'the directory is given back');
  const names = await namesOfRoles(directory);
  t.ok(names.includes('gardener'));
  t.notOk(names.includes('intruder'));
});

t.test('the directory of a process that was killed is taken over, with all that it had written', async (t) => {
  const directory = await temporaryDirectory(t);
  const writer = startWriter(t, directory, 'survivor');
  const [answer] = await writer.says(/written|\w+Error/);
  t.equal(answer, 'written');
  await t.rejects(openEmbeddedDatabase(directory, quiet), { name: 'DirectoryLockedError' });
  writer.child.kill('SIGKILL');
  await once(writer.child, 'close');
  t.ok((await namesOfRoles(directory)).includes('survivor'));
});

t.test('a database that was left half made is made anew', async (t) => {
  const directory = await temporaryDirectory(t);
  await mkdir(join(directory, 'database.new'));
  await writeFile(join(directory, 'database.new', 'PG_VERSION'), 'half');
  t.ok((await namesOfRoles(directory)).includes('user'));
  t.same((await readdir(directory)).sort(), ['database']);
});

t.test('a database that cannot be opened gives its directory back', async (t) => {
  const directory = await temporaryDirectory(t);
  await writeFile(join(directory, 'database'), 'no directory');
  await t.rejects(openEmbeddedDatabase(directory, quiet));
  t.same(await readdir(directory), ['database']);
});
