import { mkdtemp, readFile, rm } from 'node:fs/promises';
import { builtinModules } from 'node:module';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import t, { type Test } from 'tap';
import { makeBundle } from './support/bundle.ts';
import { freePort, startProcess } from './support/process.ts';

const root = fileURLToPath(new URL('..', import.meta.url));

/** The service in few files, as `npm run build` makes it, where it finds what is installed. */
async function bundled(t: Test): Promise<string> {
  const directory = await mkdtemp(join(tmpdir(), 'latchkey-test-'));
  t.teardown(() => rm(directory, { recursive: true, force: true }));
  await makeBundle(directory);
  return directory;
}

/** What a file imports before it runs, and what that imports, and so on: files of the bundle, and packages. */
async function loadedBy(file: string, loaded = new Set<string>()): Promise<Set<string>> {
  loaded.add(file);
  for (const [, from = ''] of (await readFile(file, 'utf8')).matchAll(/^(?:import|export) (?:[^;]*? from )?"([^"]+)";$/gm)) {
    if (!from.startsWith('.')) loaded.add(from);
    else if (!loaded.has(join(file, '..', from))) await loadedBy(join(file, '..', from), loaded);
  }
  return loaded;
}

t.test('the service in few files is the service, and loads nothing that it has no use for', async (t) => {
  const directory = await bundled(t);
  const loaded = [...(await loadedBy(join(directory, 'dist/cli/main.js')))];
  const packages = loaded.filter((each) => !each.startsWith(directory) && !builtinModules.includes(each.replace('node:', '')));
  t.same(packages.sort(), ['@fastify/swagger-ui', '@node-rs/argon2']);
  t.notMatch(loaded.join(' '), /password-policy/, 'the list of common passwords, for one');
  t.match(await readFile(join(directory, 'dist/bundle/LICENSES.txt'), 'utf8'), /^fastify [\d.]+ \(MIT\)\n\n[^-]*Copyright/m);

  const port = await freePort();
  const env = {
    DATA_DIR: join(directory, 'data'),
    PORT: String(port),
    PUBLIC_URL: 'http://localhost:3000',
    ARGON2_MEMORY_KIB: '8',
    ARGON2_PASSES: '1',
  };
  const server = startProcess(t, { command: [process.execPath, join(directory, 'dist/server.js')] }, env);
  await server.says(/dev\/mail\n/);
  const ask = (path: string, init?: RequestInit) => fetch(`http://localhost:${port}${path}`, init);
  t.equal((await ask('/health/ready')).status, 200);
  const document = await readFile(join(root, 'openapi/openapi.json'), 'utf8');
  t.equal(await (await ask('/openapi.json')).text(), JSON.stringify(JSON.parse(document)));
  t.equal((await ask('/docs/static/index.html')).status, 200, 'with files of a library');
  const account = { username: 'ada', email: 'ada@example.com', password: 'correct horse battery staple' };
  const body = JSON.stringify(account);
  const registration = await ask('/auth/register', { method: 'POST', headers: { 'content-type': 'application/json' }, body });
  t.equal(registration.status, 201);
  const mails = await (await ask('/dev/mail?wait=30', { headers: { accept: 'application/json' } })).text();
  t.match(mails, /\/auth\/confirm\//);
  server.child.kill('SIGINT');
  t.same(await server.ended(), { code: 0, signal: null });

  const command = startProcess(t, { command: [process.execPath, join(directory, 'dist/cli/main.js'), 'migrate', 'too'] }, env);
  t.same(await command.ended(), { code: 2, signal: null });
  t.match(command.output.stderr, 'Usage: latchkey migrate');
});
