import { chmod } from 'node:fs/promises';
import { join } from 'node:path';
import t, { type Test } from 'tap';
import { run } from '../support/cli.ts';
import type { Client } from '../support/client.ts';
import { asPostgres, noPostgres } from '../support/cluster.ts';
import { eventually } from '../support/eventually.ts';
import { startMailServer } from '../support/mail-server.ts';
import { confirmationPath, confirmedPerson, type HeldSession, newDetails, openSession, register, resetToken } from '../support/person.ts';
import { refused } from '../support/refusal.ts';
import { startInstance } from '../support/service.ts';
import { startProxy } from '../support/tcp-proxy.ts';
import { createServer, type Server } from './harness/server.ts';

/** A primary, a standby that follows it over a link, and the address at which clients find whichever counts. */
async function startPair(t: Test) {
  // Not in TMPDIR, where the user that PostgreSQL runs as may have no right to go.
  const directory = asPostgres('mktemp', '-d', '/tmp/latchkey-failover.XXXXXX').trim();
  t.teardown(() => asPostgres('rm', '-rf', directory));
  await chmod(directory, 0o755);
  const placeOf = (name: string) => ({ data: join(directory, name), log: join(directory, `${name}.log`) });
  const primary = await createServer(t, placeOf('primary'));
  await primary.start();
  const link = await startProxy(t, primary.port);
  const standby = await createServer(t, { ...placeOf('standby'), follows: link });
  await standby.start();
  return { primary, standby, link, address: await startProxy(t, primary.port) };
}

/** Waits until the standby has all that was committed before. */
async function replicated(primary: Server): Promise<void> {
  const [row] = await primary.query('select pg_current_wal_lsn() as lsn');
  await eventually('the standby has it', async () => {
    const [standby] = await primary.query(`select replay_lsn >= '${row?.['lsn']}' as has_it, sync_state from pg_stat_replication`);
    return standby?.['has_it'] === true && standby['sync_state'] === 'async';
  });
}

interface Attempt {
  readonly email: string;
  readonly start: number;
  readonly end: number;
  readonly status: number;
}

/** Registers one person after the other, until it is told to end. */
function keepRegistering({ post }: Client) {
  const attempts: Attempt[] = [];
  let isOver = false;
  async function lane(): Promise<void> {
    while (!isOver) {
      const details = newDetails();
      const start = performance.now();
      const { status } = await post('/auth/register', details);
      attempts.push({ email: details.email, start, end: performance.now(), status });
    }
  }
  const lanes = [lane(), lane()];
  return {
    attempts,
    async inARow(count: number): Promise<void> {
      const since = performance.now();
      await eventually(
        `${count} in a row are registered`,
        () => {
          const last = attempts.slice(-count);
          return last.length === count && last.every(({ start, status }) => start > since && status === 201);
        },
        60_000,
      );
    },
    async end(): Promise<void> {
      isOver = true;
      await Promise.all(lanes);
    },
  };
}

t.test('Z12: a standby that follows asynchronously takes the place of its primary', { skip: noPostgres }, async (t) => {
  const { primary, standby, link, address } = await startPair(t);
  const mailServer = await startMailServer(t);
  const env = {
    ...{ DATABASE_URL: `postgres://postgres@127.0.0.1:${address.port}/postgres`, SMTP_URL: mailServer.url, RATE_LIMIT: 'off' },
    ...{ AUTH_SECRET: 'q9Xv2LmB7cTz4RkW8sYd1NfH6gJp3KaE', DATA_DIR: join(t.testdir(), 'data') },
    ...{ ARGON2_MEMORY_KIB: '8', ARGON2_PASSES: '1' },
  };
  const start = async () => ({ ...(await startInstance(t, env)), mailServer });
  const service = await start();
  const load = keepRegistering(service);
  const setPassword = ({ post }: Pick<Client, 'post'>, token: string, newPassword: string) =>
    post('/auth/password/reset', { token, newPassword });
  const refresh = ({ post }: Pick<Client, 'post'>, { refreshToken }: HeldSession) => post('/auth/refresh', { refreshToken });

  const [ada, bob] = [await confirmedPerson(service), await confirmedPerson(service)];
  const carol = await register(service);
  const carolsLink = await confirmationPath(service, carol);
  const open = () => openSession(service, ada);
  const [loggedOut, refreshed, stolen, kept] = [await open(), await open(), await open(), await open()];
  const link1 = await resetToken(service, bob);
  await load.inARow(20);
  const known = performance.now();
  await replicated(primary);
  link.blackHole();
  const cut = performance.now();

  // All of this is acknowledged, and the standby never hears of it.
  t.equal((await service.post('/auth/logout', undefined, { token: loggedOut.accessToken })).status, 204);
  const { body: successor }: { body: HeldSession } = await refresh(service, refreshed);
  t.equal((await refresh(service, stolen)).status, 200);
  t.equal((await setPassword(service, link1, 'the first other passphrase')).status, 204);
  const link2 = await resetToken(service, bob);
  t.equal((await setPassword(service, link2, 'the second other passphrase')).status, 204);
  t.equal((await service.get(carolsLink, { token: (await openSession(service, carol)).accessToken })).status, 200);
  const late = await confirmedPerson(service);
  const lateSession = await openSession(service, late);
  await load.inARow(20);

  await primary.kill();
  await standby.promote();
  const promoted = performance.now();
  address.redirect(standby.port);
  address.cut();
  await load.inARow(50);
  await load.end();
  const other = await start();

  t.test('what was acknowledged after the cut is lost, all of that and nothing else', async (t) => {
    const rows = await standby.query('select email from users');
    const survivors = new Set(rows.map(({ email }) => email));
    const acknowledged = load.attempts.filter(({ status }) => status === 201);
    const lost = acknowledged.filter(({ email }) => !survivors.has(email));
    const after = acknowledged.filter((attempt) => attempt.start > cut && attempt.end < promoted);
    t.ok(after.length >= 20 && acknowledged.filter(({ end }) => end < known).length >= 20);
    t.strictSame(
      lost.filter(({ end, start }) => end < known || start > promoted),
      [],
      'nothing from before the cut, nor from after the promotion',
    );
    t.strictSame(
      after.filter(({ email }) => survivors.has(email)),
      [],
      'everything from after the cut',
    );
    t.comment(`${lost.length} of ${acknowledged.length} acknowledged registrations are lost, 2 of 2 resets, 1 of 1 ends of sessions`);
    const halves = await standby.query(`
      select email from users where not exists (select from mails where user_id = users.id and kind = 'confirmation')
        or not exists (select from events where user_id = users.id and type = 'registered')`);
    t.strictSame(halves, [], 'there is no half of an account');
    const [{ email = '' } = {}] = lost;
    t.equal((await other.post('/auth/register', { ...newDetails(), email })).status, 201, 'whose account is lost registers again');
  });

  t.test('by itself, it brings back to life what had ended', async (t) => {
    t.equal((await other.get('/secret', { token: loggedOut.accessToken })).status, 200, 'a session that was ended');
    refused(t, await service.get('/secret', { token: loggedOut.accessToken }), 401, 'unauthenticated', 'by who has not been started since');
    t.equal((await refresh(service, loggedOut)).status, 200, 'and everywhere, with its refresh token');
    t.equal((await refresh(other, stolen)).status, 200, 'a refresh token that was spent');
    refused(t, await refresh(other, successor), 401, 'invalid_refresh_token', 'with its successor, the session ends');
    t.equal((await other.get('/secret', { token: lateSession.accessToken })).status, 200, 'an access token of nobody');
    refused(t, await refresh(other, lateSession), 401, 'invalid_refresh_token');
    t.equal((await other.post('/auth/login', { email: bob.email, password: bob.password })).status, 200, 'the password from before');
    refused(t, await setPassword(other, link1, 'password'), 400, 'weak_password', 'a password, but not the link that was spent');
    const { accessToken } = await openSession(other, carol);
    refused(t, await other.get('/secret', { token: accessToken }), 403, 'unconfirmed', 'whose confirmation is lost');
  });

  t.test('two commands end all of it, while the instances run', async (t) => {
    t.match(await run('keys rotate --revoke-all', env), { status: 0, complaints: '' });
    t.match(await run('sessions end-all --yes', env), { status: 0, said: /^\d+ sessions ended$/, complaints: '' });
    for (const instance of [service, other]) {
      // Of its session, nobody can tell that it has ended: there is none.
      const isDead = async () => (await instance.get('/secret', { token: lateSession.accessToken })).status === 401;
      await eventually('the instance knows the keys of now', isDead, 60_000);
      for (const { accessToken: token } of [loggedOut, refreshed, stolen, kept, lateSession]) {
        refused(t, await instance.get('/secret', { token }), 401, 'unauthenticated');
      }
      for (const session of [loggedOut, refreshed, successor, stolen, kept, lateSession]) {
        refused(t, await refresh(instance, session), 401, 'invalid_refresh_token');
      }
      refused(t, await setPassword(instance, link1, 'password'), 410, 'expired_token');
    }
  });

  t.test('then people go on', async (t) => {
    const { accessToken: adas } = await openSession(service, ada);
    t.equal((await other.get('/secret', { token: adas })).status, 200);
    t.equal((await setPassword(other, await resetToken(service, bob), 'the third other passphrase')).status, 204);
    // It was signed over the state that has just come about a second time.
    refused(t, await setPassword(other, link2, 'password'), 410, 'expired_token');
    const { accessToken: token } = await openSession(service, carol);
    refused(t, await other.get(carolsLink, { token }), 410, 'expired_token');
    t.equal((await other.post('/auth/confirm/resend', undefined, { token })).status, 202);
    t.equal((await other.get(await confirmationPath(service, carol, 2), { token })).status, 200);
    t.equal((await other.get('/secret', { token })).status, 200);
  });
});
