import { mkdtemp, readFile, rm } from 'node:fs/promises';
import { builtinModules } from 'node:module';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { Redis } from 'ioredis';
import t, { type Test } from 'tap';
import { makeBundle } from './support/bundle.ts';
import { startCollector } from './support/collector.ts';
import { createDatabase, onServer } from './support/database.ts';
import { eventually } from './support/eventually.ts';
import { createForeignClient } from './support/http.ts';
import { startMailServer } from './support/mail-server.ts';
import { believedPerson } from './support/person.ts';
import { freePort, startProcess } from './support/process.ts';
import { noRedis, startRedis } from './support/redis.ts';
import { startUpstream } from './support/upstream.ts';

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
  t.match(
    await readFile(join(directory, 'dist/bundle/LICENSES.txt'), 'utf8'),
    /^drizzle-orm [\d.]+ \(Apache-2\.0\)\n\nBy Drizzle Team, \S+github/m,
  );

  for (const file of loaded.filter((each) => each.startsWith(directory)))
    t.notMatch(await readFile(file, 'utf8'), /[\u0100-\uffff]/, `${file} takes one byte for each character`);

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

t.test(
  'what few configurations load is found where it is installed',
  { skip: (!onServer && 'needs a PostgreSQL server') || noRedis },
  async (t) => {
    const directory = await bundled(t);
    const [database, mailServer, redis, collector, upstream] = [
      await createDatabase(t),
      await startMailServer(t),
      await startRedis(t),
      await startCollector(t),
      await startUpstream(t),
    ];
    const [port, metricsPort] = [await freePort(), await freePort()];
    const env = {
      ...database,
      ...{ AUTH_SECRET: 'q9Xv2LmB7cTz4RkW8sYd1NfH6gJp3KaE', ARGON2_MEMORY_KIB: '8', ARGON2_PASSES: '1', SESSION_PROTECTION: 'none' },
      ...{ PORT: String(port), METRICS_PORT: String(metricsPort), PUBLIC_URL: 'http://localhost:3000' },
      ...{ SMTP_URL: mailServer.url, REDIS_URL: redis.url, OTEL_EXPORTER_OTLP_ENDPOINT: collector.url, UPSTREAM_URL: upstream.base },
    };
    const server = startProcess(t, { command: [process.execPath, join(directory, 'dist/server.js')] }, env);
    await server.says(/Latchkey answers/);
    const service = { ...createForeignClient(`http://127.0.0.1:${port}`), mailServer };
    const person = await believedPerson(service);
    t.match((await service.get('/anything', { token: person.token })).body, { url: '/anything' }, 'the application answers');
    const metrics = await fetch(`http://127.0.0.1:${metricsPort}/metrics`);
    t.match(await metrics.text(), /^latchkey_/m);
    const counters = new Redis(redis.url);
    t.teardown(() => counters.disconnect());
    await eventually('it counts in Redis', async () => {
      await service.post('/auth/login', { email: 'nobody@example.com', password: 'a password of nobody' });
      return (await counters.dbsize()) > 0;
    });
    server.child.kill('SIGTERM');
    t.same(await server.ended(), { code: 0, signal: null });
    t.ok(collector.spans().some(({ name }) => name === 'POST /auth/register'));
  },
);
