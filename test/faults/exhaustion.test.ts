import { execFile } from 'node:child_process';
import { once } from 'node:events';
import { connect, type Socket } from 'node:net';
import { promisify } from 'node:util';
import t from 'tap';
import { noPostgres, startCluster } from '../support/cluster.ts';
import { createDatabase, createPatientDatabase, onServer, query } from '../support/database.ts';
import { eventually } from '../support/eventually.ts';
import { createForeignClient } from '../support/http.ts';
import { startMailServer } from '../support/mail-server.ts';
import { believedPerson, logIn, newDetails, register } from '../support/person.ts';
import { freePort, startProcess } from '../support/process.ts';
import { refused } from '../support/refusal.ts';
import { startService } from '../support/service.ts';

const skip = !onServer && 'needs a PostgreSQL server';

t.test('Z14: while others hold every connection to the database', { skip }, async (t) => {
  const service = await startService(t, { ...(await createPatientDatabase(t)), DATABASE_POOL_SIZE: '2', RATE_LIMIT: 'off' });
  const { services } = service.app;
  const person = await believedPerson(service);
  const details = newDetails();
  let giveBack = () => {};
  const held = new Promise<void>((resolve) => {
    giveBack = resolve;
  });
  let holders = 0;
  const hold = async () => {
    holders += 1;
    await held;
  };
  const holding = [services.db.transaction(hold), services.db.transaction(hold)];
  await eventually('they are held', () => holders === 2);

  const requests = Array.from({ length: 12 }, () => service.post('/auth/register', details));
  t.equal(
    (await service.get('/secret', { token: person.token })).status,
    200,
    'who is confirmed is let in: that asks the database nothing',
  );
  t.equal((await service.get('/health/live')).status, 200);
  const readiness = await service.get('/health/ready');
  t.match(readiness, { status: 503, body: { down: ['database'] } });
  for (const answer of await Promise.all(requests)) refused(t, answer, 503, 'service_unavailable');
  t.ok(services.poolUse().waiting < 10, 'only what the service does by itself is left waiting');

  giveBack();
  await Promise.all(holding);
  t.equal((await service.post('/auth/register', details)).status, 201);
  await eventually('it is ready', async () => (await service.get('/health/ready')).status === 200);
});

t.test('Z19: while the server takes no more connections (53300)', { skip: noPostgres }, async (t) => {
  const cluster = await startCluster(t);
  for (const statement of ['create role latchkey login', 'create database accounts owner latchkey']) await query(cluster.url, statement);
  const DATABASE_URL = cluster.url.replace('postgres@', 'latchkey@').replace(/postgres$/, 'accounts');
  const service = await startService(t, { DATABASE_URL, RATE_LIMIT: 'off' });
  const person = await believedPerson(service);
  const details = newDetails();
  await query(cluster.url, 'alter role latchkey connection limit 0');
  await query(cluster.url, `select pg_terminate_backend(pid) from pg_stat_activity where usename = 'latchkey'`);
  // First of all: that is for three seconds.
  t.equal((await service.get('/secret', { token: person.token })).status, 200, 'as long as it knows of ended sessions');
  await t.rejects(query(DATABASE_URL, 'select 1'), { code: '53300' });
  refused(t, await service.post('/auth/register', details), 503, 'service_unavailable');
  t.match(await service.get('/health/ready'), { status: 503, body: { down: ['database'] } });
  await query(cluster.url, 'alter role latchkey connection limit -1');
  await eventually('it has connections again', async () => (await service.post('/auth/register', details)).status === 201);
});

t.test('Z30: an instance that may open no more files goes on when it may again', { skip }, async (t) => {
  const [database, mailServer, port] = await Promise.all([createDatabase(t), startMailServer(t), freePort()]);
  const env = {
    ...database,
    SMTP_URL: mailServer.url,
    PORT: String(port),
    DATA_DIR: t.testdir(),
    ARGON2_MEMORY_KIB: '8',
    ARGON2_PASSES: '1',
  };
  const instance = startProcess(t, { file: 'src/server.ts' }, env);
  await instance.says(/Latchkey answers/);
  // Only now: Node.js reads as many modules at once as it finds. Some thirty are open.
  await promisify(execFile)('prlimit', ['--pid', String(instance.child.pid), '--nofile=100']);
  const service = { ...createForeignClient(`http://127.0.0.1:${port}`), mailServer };
  const person = await register(service);

  const sockets: Socket[] = [];
  let ended = 0;
  for (let count = 0; count < 200; count += 1) {
    const socket = connect(port, '127.0.0.1').on('error', () => {});
    socket.on('close', () => {
      ended += 1;
    });
    sockets.push(socket);
  }
  await eventually('it has taken as many as it can, and turned others away', () => ended > 50);
  for (const socket of sockets) socket.destroy();
  await eventually('they are gone', () => ended === sockets.length);
  await eventually('it answers again', () =>
    logIn(service, person).then(
      () => true,
      () => false,
    ),
  );
  t.ok(await mailServer.mailTo((await register(service)).email), 'and mails');
  instance.child.kill('SIGTERM');
  t.strictSame(await once(instance.child, 'exit'), [0, null]);
});
