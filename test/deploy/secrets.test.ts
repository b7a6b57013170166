import { join } from 'node:path';
import t from 'tap';
import { asPostgres, noPostgres, startCluster } from '../support/cluster.ts';
import { startMailServer } from '../support/mail-server.ts';
import { confirmationPath, openSession, register } from '../support/person.ts';
import { refused } from '../support/refusal.ts';
import { startInstance } from '../support/service.ts';

const [old, next] = ['q9Xv2LmB7cTz4RkW8sYd1NfH6gJp3KaE', 'Zt5Wn8KcR2vYp7HxQ4mLb9DsG3fJe6Ua'];

t.test('secrets are replaced one instance after the other, as docs/OPERATIONS.md says', { skip: noPostgres }, async (t) => {
  const [cluster, mailServer] = await Promise.all([startCluster(t), startMailServer(t)]);
  const env = {
    SMTP_URL: mailServer.url,
    ARGON2_MEMORY_KIB: '8',
    ARGON2_PASSES: '1',
    DATA_DIR: join(t.testdir(), 'data'),
    SESSION_PROTECTION: 'strong',
  };
  const start = async (AUTH_SECRET: string, DATABASE_URL = cluster.url) => ({
    ...(await startInstance(t, { ...env, AUTH_SECRET, DATABASE_URL })),
    mailServer,
  });

  t.test('in three steps, neighbours understand each other', async (t) => {
    for (const [one, other] of [
      [old, `${old},${next}`],
      [`${old},${next}`, `${next},${old}`],
      [`${next},${old}`, next],
    ] as const) {
      const instances = [await start(one), await start(other)];
      for (const [from, to] of [instances, instances.toReversed()] as [(typeof instances)[0], (typeof instances)[0]][]) {
        const person = await register(from);
        const { accessToken, refreshToken } = await openSession(from, person);
        t.equal((await to.get('/auth/me', { token: accessToken })).status, 200, 'whose client the neighbour recognises');
        const { status, body } = await to.post('/auth/refresh', { refreshToken });
        t.equal(status, 200, 'a session goes on at the neighbour');
        t.equal((await to.get(await confirmationPath(from, person), { token: body.accessToken })).status, 200, 'and so does a link');
      }
      for (const { app } of instances) await app.close();
    }
  });

  t.test('in two, the old instances refuse what the new ones have made', async (t) => {
    const newer = await start(next);
    const older = await start(`${next},${old}`);
    const swapped = await start(`${old},${next}`);
    const { refreshToken } = await openSession(swapped, await register(swapped));
    refused(t, await newer.post('/auth/refresh', { refreshToken }), 401, 'invalid_refresh_token');
    t.equal((await older.post('/auth/refresh', { refreshToken })).status, 200);
    for (const { app } of [newer, older, swapped]) await app.close();
  });

  t.test('the database is left through another role', async (t) => {
    const sql = (statement: string) => asPostgres('psql', '--quiet', '--command', statement, cluster.url);
    const as = (user: string) => Object.assign(new URL(cluster.url), { username: user, pathname: '/accounts' }).href;
    sql('create role latchkey login');
    sql('create database accounts owner latchkey');
    const first = await start(next, as('latchkey'));
    sql('create role latchkey_2027 login in role latchkey');
    sql('alter role latchkey_2027 set role latchkey');
    const second = await start(next, as('latchkey_2027'));
    const person = await register(first);
    t.equal((await openSession(second, person)).accessToken.length > 0, true);
    await first.app.close();
    sql('alter role latchkey nologin');
    t.equal((await openSession(second, person)).accessToken.length > 0, true);
    t.equal((await register(second)).id.length, 36);
    await t.rejects(start(next, as('latchkey')), /not permitted to log in/);
    await second.app.close();
  });
});
