import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import t from 'tap';
import { run } from '../support/cli.ts';
import { asPostgres, noPostgres, startCluster } from '../support/cluster.ts';
import { startMailServer } from '../support/mail-server.ts';
import { confirmedPerson, type HeldSession, openSession, resetToken } from '../support/person.ts';
import { refused } from '../support/refusal.ts';
import { type Service, startInstance } from '../support/service.ts';

t.test('a backup is restored as docs/OPERATIONS.md says', { skip: noPostgres }, async (t) => {
  const cluster = await startCluster(t);
  const mailServer = await startMailServer(t);
  const url = (name: string) => Object.assign(new URL(cluster.url), { pathname: `/${name}` }).href;
  const sql = (statement: string) => asPostgres('psql', '--quiet', '--command', statement, cluster.url);
  sql('create role latchkey');
  sql('create database latchkey owner latchkey');
  const env = {
    ...{ DATABASE_URL: url('latchkey'), SMTP_URL: mailServer.url, ARGON2_MEMORY_KIB: '8', ARGON2_PASSES: '1' },
    ...{ AUTH_SECRET: 'q9Xv2LmB7cTz4RkW8sYd1NfH6gJp3KaE', DATA_DIR: join(t.testdir(), 'data') },
  };
  async function start() {
    const instance = await startInstance(t, env);
    return { ...instance, mailServer };
  }
  /** A password that is refused does not spend it. */
  const useLink = (service: Pick<Service, 'post'>, newPassword: string) =>
    service.post('/auth/password/reset', { token: link, newPassword });
  const dump = join(cluster.directory, 'latchkey.dump');

  const first = await start();
  const person = await confirmedPerson(first);
  const [stolen, kept, refreshed] = [await openSession(first, person), await openSession(first, person), await openSession(first, person)];
  const forgetful = await confirmedPerson(first);
  const link = await resetToken(first, forgetful);
  asPostgres('pg_dump', '--format=custom', `--file=${dump}`, env.DATABASE_URL);

  // What happens until the disaster.
  t.equal((await first.post('/auth/logout', undefined, { token: stolen.accessToken })).status, 204);
  const { refreshToken: another }: HeldSession = (await first.post('/auth/refresh', { refreshToken: refreshed.refreshToken })).body;
  const newPassword = 'another passphrase entirely';
  const changed = { currentPassword: person.password, newPassword };
  t.equal((await first.request('PUT', '/auth/password', { token: kept.accessToken, body: changed })).status, 204);
  const reset = { token: link, newPassword: 'a passphrase that is remembered' };
  t.equal((await first.post('/auth/password/reset', reset)).status, 204);
  refused(t, await first.post('/auth/password/reset', reset), 410, 'used_token');
  const late = await confirmedPerson(first);
  const { accessToken: ofNobody } = await openSession(first, late);
  const { accessToken: recent } = await openSession(first, { ...person, password: newPassword });
  await first.app.close();

  sql('alter database latchkey rename to latchkey_before_restore');
  sql('create database latchkey owner latchkey');
  asPostgres(
    ...(['pg_restore', '--no-owner', '--role=latchkey', '--exit-on-error', '--single-transaction'] as [string, ...string[]]),
    `--dbname=${env.DATABASE_URL}`,
    dump,
  );

  t.test('what was lost is found in the old database, as docs/OPERATIONS.md asks for it, whatever DATABASE_URL ends with', async (t) => {
    const [command = ''] = /^psql "\$DATABASE_URL" -c '\\connect .*?(?=^```)/ms.exec(readFileSync('docs/OPERATIONS.md', 'utf8')) ?? [];
    const since = command.replace(/'20[^']*'/, "'epoch'");
    const found = asPostgres('sh', '-c', `DATABASE_URL='${env.DATABASE_URL}?sslmode=prefer'; ${since}`);
    const events = found.split('\n').filter((line) => line.includes(' | '));
    t.strictSame(
      events.slice(1).map((line) => line.split('|')[1]?.trim()),
      ['password_changed', 'password_reset'],
    );
    t.match(events[1], person.id);
    t.match(events[2], forgetful.id);
  });

  t.test('by itself, it brings back what had ended', async (t) => {
    const service = await start();
    t.equal((await service.get('/secret', { token: stolen.accessToken })).status, 200, 'a session that was ended');
    t.equal((await service.get('/secret', { token: ofNobody })).status, 200, 'an access token of an account that there is not');
    t.equal((await service.get('/secret', { token: recent })).status, 200, 'an access token of a session that there is not');
    t.equal(
      (await service.post('/auth/login', { email: person.email, password: person.password })).status,
      200,
      'the password from before',
    );
    refused(t, await service.post('/auth/login', { email: person.email, password: newPassword }), 401, 'invalid_credentials');
    refused(t, await service.post('/auth/refresh', { refreshToken: another }), 401, 'invalid_refresh_token');
    refused(t, await useLink(service, 'password'), 400, 'weak_password', 'a password, but not the link that was used');
    await service.app.close();
  });

  t.test('keys rotate --revoke-all ends every access token and link, and no session', async (t) => {
    t.match(await run('keys rotate --revoke-all', env), { status: 0, complaints: '' });
    const service = await start();
    for (const token of [stolen.accessToken, ofNobody, recent]) refused(t, await service.get('/secret', { token }), 401, 'unauthenticated');
    refused(t, await useLink(service, 'a passphrase of a thief'), 410, 'expired_token');
    const { status, body } = await service.post('/auth/refresh', { refreshToken: stolen.refreshToken });
    t.equal(status, 200, 'the refresh token of the session that was ended still works');
    t.equal((await service.get('/secret', { token: body.accessToken })).status, 200);
    await service.app.close();
  });

  t.test('sessions end-all --yes ends the sessions', async (t) => {
    t.match(await run('sessions end-all --yes', env), { status: 0, said: /^\d+ sessions ended$/, complaints: '' });
    const service = await start();
    for (const { refreshToken } of [stolen, kept, refreshed]) {
      refused(t, await service.post('/auth/refresh', { refreshToken }), 401, 'invalid_refresh_token');
    }
    const { accessToken: token } = await openSession(service, person);
    t.equal((await service.get('/secret', { token })).status, 200, 'whoever knows the password logs in again');
  });
});
