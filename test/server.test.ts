import { once } from 'node:events';
import { mkdtemp, readdir, rm } from 'node:fs/promises';
import { type AddressInfo, createServer, type Socket } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import t, { type Test } from 'tap';
import { eventually } from './support/eventually.ts';
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
  const [sameDirectory, samePort, sameMetrics] = await Promise.all([
    startServer(t, other, server.directory),
    startServer(t, { PORT: String(port) }),
    startServer(t, { ...other, METRICS_PORT: String(port) }),
  ]);
  t.same(await sameDirectory.ended(), { code: 1, signal: null }, 'nobody else gets its directory');
  t.match(sameDirectory.output.stderr, `${server.child.pid}`);
  t.same(await samePort.ended(), { code: 1, signal: null }, 'nor its port');
  t.match(samePort.output.stderr, 'EADDRINUSE');
  t.same(await sameMetrics.ended(), { code: 1, signal: null }, 'not even for metrics');
  t.match(sameMetrics.output.stderr, `METRICS_PORT: listen EADDRINUSE: address already in use 127.0.0.1:${port}`);
  for (const { directory } of [samePort, sameMetrics]) {
    t.notOk((await readdir(directory)).includes('lock'), 'and who failed holds nothing');
  }
  for (const { output } of [sameDirectory, samePort, sameMetrics]) t.notMatch(output.stderr, /^ +at /m);

  server.child.kill('SIGINT');
  t.same(await server.ended(), { code: 0, signal: null });
  t.equal(server.output.stderr, '');
});

t.test('a supervisor’s SIGTERM is announced before it is followed, and a second signal ends the service at once', async (t) => {
  const [first, second] = [await freePort(), await freePort()];
  const started = [
    startServer(t, { PORT: String(first) }),
    startServer(t, { PORT: String(second), SHUTDOWN_DELAY_SECONDS: '300' }),
  ] as const;
  const [patient, hurried] = await Promise.all(started);
  await Promise.all([patient, hurried].map((server) => server.says(/dev\/mail\n/)));
  for (const { child } of [patient, hurried]) child.kill('SIGTERM');
  const ask = async (port: number) => {
    const down = async () => ((await (await fetch(`http://127.0.0.1:${port}/health/ready`)).json()) as { down?: unknown }).down;
    await eventually('it is not ready any longer', async () => String(await down()) === 'shutdown');
    t.equal((await fetch(`http://127.0.0.1:${port}/health/live`)).status, 200, 'but answers');
  };
  await Promise.all([first, second].map(ask));
  await eventually('a later one is no echo of the first', () => !hurried.child.kill('SIGTERM'));
  t.same(await hurried.ended(), { code: 1, signal: null });
  t.same(await patient.ended(), { code: 0, signal: null });
  t.notOk((await readdir(patient.directory)).includes('lock'));
});

t.test('a service that is told to stop while it starts does so, and a second signal ends it at once', async (t) => {
  // A database that takes a connection, and says nothing.
  const silent = createServer();
  const connections: Socket[] = [];
  silent.on('connection', (socket) => void connections.push(socket));
  await once(silent.listen(0, '127.0.0.1'), 'listening');
  t.teardown(() => {
    for (const socket of connections) socket.destroy();
    silent.close();
  });
  const env = { DATABASE_URL: `postgres://nobody@127.0.0.1:${(silent.address() as AddressInfo).port}/none`, PORT: '0' };
  /** One that waits for it; before long it gives up. */
  const waiting = async () => {
    const before = connections.length;
    const server = await startServer(t, env);
    await eventually('it waits for the database', () => connections.length > before, 60_000);
    return server;
  };
  const left = await waiting();
  const patient = await waiting();
  patient.child.kill('SIGTERM');
  const hurried = await waiting();
  for (const signal of ['SIGTERM', 'SIGINT'] as const) hurried.child.kill(signal);
  t.same(await hurried.ended(), { code: 1, signal: null });
  t.match(hurried.output.stderr, /second SIG/);
  t.same(await patient.ended(), { code: 0, signal: null });
  t.equal(patient.output.stderr, '', 'that it could not start does not matter');
  t.same(await left.ended(), { code: 1, signal: null });
  t.match(left.output.stderr, /timeout/);
});

t.test('a signal that comes twice at once, as npm passes on what it was told along with the service, is one', async (t) => {
  const run = async (...signals: string[]) => {
    const directory = await mkdtemp(join(tmpdir(), 'latchkey-test-'));
    t.teardown(() => rm(directory, { recursive: true, force: true }));
    const script = `
      import { loadConfig } from './src/config.ts';
      import { serve } from './src/serve.ts';
      await serve(loadConfig(process.env), () => {});
      for (const signal of ${JSON.stringify(signals)}) process.emit(signal, signal);`;
    return startProcess(t, { script }, { DATA_DIR: directory, PORT: '0', SHUTDOWN_DELAY_SECONDS: '0' });
  };
  const [key, supervisor, both] = await Promise.all([run('SIGINT', 'SIGINT'), run('SIGTERM', 'SIGTERM'), run('SIGTERM', 'SIGINT')]);
  t.same(await key.ended(), { code: 0, signal: null });
  t.same(await supervisor.ended(), { code: 0, signal: null });
  t.same(await both.ended(), { code: 1, signal: null });
});

t.test('an error that nobody expects ends the service in order, and counts as a failure, whenever it comes', async (t) => {
  const script = (wait: string, what: string, after: string) => `
    import { loadConfig } from './src/config.ts';
    import { serve } from './src/serve.ts';
    const serving = serve(loadConfig(process.env), () => {});
    ${wait}
    process.once('uncaughtException', () => { ${after} });
    setImmediate(() => { throw ${what}; });`;
  const run = async (wait: string, what = `new Error('nobody expects it')`, after = '') => {
    const directory = await mkdtemp(join(tmpdir(), 'latchkey-test-'));
    t.teardown(() => rm(directory, { recursive: true, force: true }));
    return { directory, ...startProcess(t, { script: script(wait, what, after) }, { DATA_DIR: directory, PORT: '0' }) };
  };
  const hurried = await run('await serving;', undefined, `process.emit('SIGTERM', 'SIGTERM');`);
  t.same(await hurried.ended(), { code: 1, signal: null });
  t.match(hurried.output.stdout, /second SIGTERM, exiting/, 'a signal is the second thing to end it then');
  const [starting, running, nothing] = await Promise.all([run(''), run('await serving;'), run('await serving;', 'undefined')]);
  for (const { ended, directory } of [starting, running, nothing]) {
    t.same(await ended(), { code: 1, signal: null });
    t.notOk((await readdir(directory)).includes('lock'));
  }
  t.match(starting.output.stderr, /^the service stops because of an unexpected error: Error: nobody expects it\n/);
  t.match(running.output.stdout, /"message":"nobody expects it".*"msg":"the service stops because of an unexpected error"/);
  t.equal(running.output.stderr, '');
  t.match(nothing.output.stdout, /"message":"nothing was thrown".*"msg":"the service stops because of an unexpected error"/);
});

t.test('a signal that comes before anything is loaded ends the service well', async (t) => {
  const preload = `process.on('newListener', (name) => name === 'SIGTERM' && setImmediate(() => process.kill(process.pid, name)))`;
  const NODE_OPTIONS = `--import=data:text/javascript,${encodeURIComponent(preload)}`;
  // Without what tap puts into the environment of processes, which listens, too.
  const variables = [`PATH=${process.env['PATH']}`, `DATA_DIR=${t.testdir()}`, `NODE_OPTIONS=${NODE_OPTIONS}`];
  const server = startProcess(
    t,
    { command: ['env', '-i', ...variables, process.execPath, '--import=./scripts/typescript.js', 'src/server.ts'] },
    {},
  );
  t.same(await server.ended(), { code: 0, signal: null });
  t.same(server.output, { stdout: '', stderr: '' });
});
