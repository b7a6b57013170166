import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import t from 'tap';
import type { Answer, Client, Method } from '../support/client.ts';
import { createDatabase, onServer, query } from '../support/database.ts';
import { eventually } from '../support/eventually.ts';
import { createForeignClient } from '../support/http.ts';
import { linksOf, type MailServer, startMailServer } from '../support/mail-server.ts';
import { createNextVersion } from '../support/next-version.ts';
import { newDetails } from '../support/person.ts';
import { freePort, type RunningProcess, startProcess } from '../support/process.ts';
import { startBalancer } from './harness/balancer.ts';

const skip = !onServer && 'needs a PostgreSQL server';
const thisVersion = fileURLToPath(new URL('../..', import.meta.url));
const clientOf = (port: number) => createForeignClient(`http://127.0.0.1:${port}`);
const crowd = 6;
const confirmationPath = '/auth/confirm/';

type Ask = (client: Client, expected: number, method: Method, path: string, options?: object) => Promise<Answer>;

/** The life of somebody new, who asks whichever of these clients is next by turns: each request another one. */
async function live(ask: Ask, clients: readonly Client[], mailServer: MailServer): Promise<void> {
  const details = newDetails();
  let turn = 0;
  const next = (expected: number, method: Method, path: string, options?: object) => {
    turn += 1;
    return ask(clients[turn % clients.length] as Client, expected, method, path, options);
  };
  const { email, password } = details;
  await next(201, 'POST', '/auth/register', { body: details });
  const { accessToken: early } = (await next(200, 'POST', '/auth/login', { body: { email, password } })).body;
  await next(403, 'GET', '/secret', { token: early });
  const mail = () => mailServer.received.find(({ recipients }) => recipients.includes(email));
  await eventually(`there is a mail to ${email}`, () => mail() !== undefined, 60_000);
  const [link = ''] = linksOf(mail() as NonNullable<ReturnType<typeof mail>>);
  await next(200, 'POST', '/auth/confirm', { body: { token: new URL(link).pathname.slice(confirmationPath.length), password } });
  await next(200, 'GET', '/secret', { token: early });
  const opened = (await next(200, 'POST', '/auth/login', { body: { email, password } })).body;
  await next(200, 'GET', '/auth/me', { token: opened.accessToken });
  const refreshed = (await next(200, 'POST', '/auth/refresh', { body: { refreshToken: opened.refreshToken } })).body;
  await next(200, 'GET', '/secret', { token: refreshed.accessToken });
  await next(200, 'POST', '/auth/refresh', { body: { refreshToken: refreshed.refreshToken } });
  await next(204, 'POST', '/auth/logout', { token: refreshed.accessToken });
}

t.test('Z25: an upgrade, and the way back, one instance after the other, fails no request', { skip, timeout: 280_000 }, async (t) => {
  const [nextVersion, database, mailServer] = await Promise.all([createNextVersion(t), createDatabase(t), startMailServer(t)]);
  const { DATABASE_URL = '' } = database;
  const [one, two] = [await freePort(), await freePort()];
  const env = {
    ...database,
    SMTP_URL: mailServer.url,
    ...{ ARGON2_MEMORY_KIB: '8', ARGON2_PASSES: '1', RATE_LIMIT: 'off', LOG_LEVEL: 'warn', PUBLIC_URL: 'http://localhost' },
    ...{ TRUSTED_PROXIES: '127.0.0.1', SHUTDOWN_DELAY_SECONDS: '4', AUTH_SECRET: 'q9Xv2LmB7cTz4RkW8sYd1NfH6gJp3KaE' },
  };
  const running = new Map<number, RunningProcess>();

  async function startOn(port: number, version: string): Promise<void> {
    const command = [process.execPath, `--import=${join(version, 'scripts/typescript.js')}`, join(version, 'src/server.ts')] as const;
    const instance = startProcess(t, { command: [...command] }, { ...env, PORT: String(port) });
    running.set(port, instance);
    await eventually('it listens', () => /Latchkey answers/.test(instance.output.stdout) || instance.child.exitCode !== null, 60_000);
    t.equal(instance.child.exitCode, null, instance.output.stderr);
  }

  /** Ends one when nobody is sent there any more, and starts another in its place. */
  async function replace(port: number, version: string): Promise<void> {
    const instance = running.get(port) as RunningProcess;
    instance.child.kill('SIGTERM');
    // As whoever shares out requests must, before it stops listening: it says that it is not ready any longer.
    await eventually('it says that it ends', async () => (await clientOf(port).get('/health/ready')).status === 503);
    taking.splice(taking.indexOf(port), 1);
    t.strictSame(await instance.ended(), { code: 0, signal: null });
    await startOn(port, version);
    taking.push(port);
  }

  await startOn(one, thisVersion);
  await startOn(two, thisVersion);
  const taking = [one, two];
  const base = await startBalancer(t, taking);
  const behind = createForeignClient(base);
  const [first, second] = [clientOf(one), clientOf(two)];

  const wrong: string[] = [];
  const ask: Ask = async (client, expected, method, path, options) => {
    const answer = await client.request(method, path, { ...options, headers: { connection: 'close' } });
    if (answer.status !== expected) {
      wrong.push(`${method} ${path} was answered ${answer.status}: ${answer.text}`);
      throw new Error(wrong.at(-1));
    }
    return answer;
  };
  let [lives, isOver] = [0, false];
  async function livesOfOne(): Promise<void> {
    while (!isOver) {
      await live(ask, [behind], mailServer).catch((error: Error) => wrong.push(error.message));
      lives += 1;
    }
  }
  const people = Array.from({ length: crowd }, livesOfOne);
  t.teardown(() => {
    isOver = true;
  });

  const migrations = async () => (await query(DATABASE_URL, 'select count(*)::int from drizzle.__drizzle_migrations')).rows[0].count;
  /** People go on as they did, and whatever one instance has made the other one takes. */
  async function goesOn(when: string): Promise<void> {
    const before = lives;
    await eventually(`people live on: ${when}`, () => lives >= before + 2 * crowd, 60_000);
    await live(ask, [first, second], mailServer);
    await live(ask, [second, first], mailServer);
    for (const client of [first, second]) t.match(await client.get('/health/ready'), { status: 200 }, when);
    t.strictSame(wrong, [], when);
  }

  const before = await migrations();
  await goesOn('all of this version');
  await replace(one, nextVersion);
  t.equal(await migrations(), before + 1);
  await goesOn('one of the next version');
  const openedBy = async () =>
    (await query(DATABASE_URL, 'select distinct opened_by from sessions order by 1')).rows.map((row) => row.opened_by);
  t.strictSame(await openedBy(), ['the next version', 'this version'], 'both open sessions');
  await replace(two, nextVersion);
  await goesOn('all of the next version');
  await replace(two, thisVersion);
  await goesOn('one of this version again');
  await replace(one, thisVersion);
  await goesOn('all of this version again');
  t.equal(await migrations(), before + 1, 'the schema stays');

  isOver = true;
  await Promise.all(people);
  t.strictSame(wrong, []);
  t.comment(`${lives} lives`);
});
