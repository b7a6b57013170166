import t from 'tap';
import { run } from '../support/cli.ts';
import { createDatabase, onServer, query } from '../support/database.ts';
import { openSession, register } from '../support/person.ts';
import { refused } from '../support/refusal.ts';
import { startInstance } from '../support/service.ts';

t.test('words that a command does not understand are refused with its usage', async (t) => {
  const misused = {
    'sessions end-all': /say --yes\nUsage: latchkey sessions end-all --yes/,
    'sessions end-all --yes ada': /expected 0 words, got 1/,
    'sessions end-all --all': /--all/,
  };
  for (const [argv, complaints] of Object.entries(misused)) t.match(await run(argv), { status: 2, said: '', complaints }, argv);
  for (const argv of ['sessions', 'sessions bogus']) t.match(await run(argv), { status: 2, said: '', complaints: /^Usage:/ }, argv);
});

t.test('everybody is logged out, and can log in again', async (t) => {
  const env = { ARGON2_MEMORY_KIB: '8', ARGON2_PASSES: '1', ...(await createDatabase(t)) };
  const first = await startInstance(t, env);
  const [ada, bob] = [await register(first), await register(first)];
  const held = [await openSession(first, ada), await openSession(first, ada), await openSession(first, bob)];
  t.equal((await first.get('/auth/me', { token: held[0]?.accessToken as string })).status, 200);
  await first.app.close();

  t.match(await run('sessions end-all --yes', env), { status: 0, said: '3 sessions ended', complaints: '' });
  t.match(await run('sessions end-all --yes', env), { status: 0, said: '0 sessions ended', complaints: '' }, 'none is left');
  const service = await startInstance(t, env);
  for (const { accessToken: token, refreshToken } of held) {
    refused(t, await service.get('/auth/me', { token }), 401, 'unauthenticated');
    refused(t, await service.post('/auth/refresh', { refreshToken }), 401, 'invalid_refresh_token');
  }
  const { accessToken: token } = await openSession(service, bob);
  t.equal((await service.get('/auth/me', { token })).status, 200, 'a new session is another one');
});

t.test(
  'instances that serve meanwhile learn of it, however many sessions there are',
  { skip: !onServer && 'needs a server' },
  async (t) => {
    const env = { ARGON2_MEMORY_KIB: '8', ARGON2_PASSES: '1', ...(await createDatabase(t)) };
    const service = await startInstance(t, env);
    const { accessToken: token } = await openSession(service, await register(service));
    const columns = 'user_id, created_at, last_used_at, idle_expires_at, expires_at, remember_me, client';
    const copies = `insert into sessions (id, ${columns}) select gen_random_uuid(), ${columns} from sessions, generate_series(1, 1000)`;
    await query(env['DATABASE_URL' as keyof typeof env], copies);
    t.match(await run('sessions end-all --yes', env), { status: 0, said: '1001 sessions ended', complaints: '' });
    await service.app.services.revocations.poll();
    refused(t, await service.get('/auth/me', { token }), 401, 'unauthenticated');
  },
);
