import t from 'tap';
import { run } from '../support/cli.ts';
import { createDatabase } from '../support/database.ts';
import { startInstance } from '../support/service.ts';

const uuid = /^[0-9a-f-]{36}$/;

t.test('words that a command does not understand are refused with its usage', async (t) => {
  const misused = {
    'users list more': /expected 0 words, got 1\nUsage: latchkey users list/,
    'users list --role admin': /--role/,
    'users list --query': /--query/,
    'users show': /expected 1 words, got 0\nUsage: latchkey users show NAME \[--json\]/,
    'users create': /--email and --username are needed\nUsage: latchkey users create/,
    'users create --email ada@example.com': /--email and --username are needed/,
    'users create --username ada': /--email and --username are needed/,
    'users create --email a@example.com --username ada --password secret': /--password/,
    'users confirm': /expected 1 words, got 0/,
    'users disable a b': /expected 1 words, got 2/,
    'users enable --yes a': /--yes/,
    'users role ada': /expected 2 words, got 1\nUsage: latchkey users role NAME ROLE/,
    'users sessions': /expected 1 words, got 0/,
    'users delete ada': /say --yes\nUsage: latchkey users delete NAME --yes/,
    'users delete --yes': /expected 1 words, got 0/,
  };
  for (const [argv, complaints] of Object.entries(misused)) t.match(await run(argv), { status: 2, said: '', complaints }, argv);
  for (const argv of ['users', 'users bogus']) t.match(await run(argv), { status: 2, said: '', complaints: /^Usage:/ }, argv);
});

t.test('users at the command line', async (t) => {
  const env = { ARGON2_MEMORY_KIB: '8', ARGON2_PASSES: '1', ...(await createDatabase(t)) };

  /** What a command said, as a program reads it: an object for each line. */
  async function objects(argv: string) {
    const { status, said, complaints } = await run(argv, env);
    if (status !== 0 || complaints !== '') throw new Error(`${argv} failed with ${status}: ${complaints}`);
    return said === '' ? [] : said.split('\n').map((line) => JSON.parse(line));
  }
  const object = async (argv: string) => (await objects(argv))[0];
  async function assertRefused(argv: string, complaints: RegExp | string) {
    t.match(await run(argv, env), { status: 2, said: '', complaints }, argv);
  }

  const admin = await object('users create --email Ada@example.com --username Ada --role admin --confirmed --json');
  const created = await run('users create --email bob@example.com --username bob', env);
  const [, bob = '', password = ''] = /^(\S+) .*\npassword: (\S+)/.exec(created.said) ?? [];

  t.test('the first administrator is created on an empty database, with a password', async (t) => {
    t.match(admin, { id: uuid, email: 'Ada@example.com', username: 'Ada', role: 'admin', confirmed: true, password: /^[\w-]{24}$/ });
    t.match(created, { status: 0, complaints: '' });
    t.match(created.said, /^[0-9a-f-]{36} {2}bob {2}bob@example\.com {2}user {2}unconfirmed\npassword: [\w-]{24}$/);
  });

  t.test('what is not accepted from a client is not accepted here, and leaves no account', async (t) => {
    const refusals = {
      'users create --email ADA@example.com --username other': /email is taken/,
      'users create --email other@example.com --username ADA': /username is taken/,
      'users create --email nonsense --username nonsense': /email must be an e-mail address/,
      'users create --email other@example.com --username other --role bogus': /role is no role/,
    };
    for (const [argv, complaints] of Object.entries(refusals)) await assertRefused(argv, complaints);
    const names = (await objects('users list --json')).map(({ username }) => username);
    t.strictSame(names, ['Ada', 'bob']);
  });

  t.test('they are listed and shown, for people and for programs', async (t) => {
    const { status, said } = await run('users list --query @EXAMPLE', env);
    t.equal(status, 0);
    t.match(said, new RegExp(`^${admin.id}  Ada  Ada@example\\.com  admin  confirmed\\n\\S+  bob  bob@example\\.com  user  unconfirmed$`));
    t.strictSame(await objects('users list --query no_such --json'), []);
    const shown = await object('users show ADA --json');
    t.strictSame(Object.keys(shown), ['id', 'email', 'username', 'role', 'confirmed', 'createdAt', 'disabled']);
    t.match(shown, { id: admin.id, disabled: false });
    await assertRefused('users show nobody', /^There is no user with this name, address or id\.\nUsage: latchkey users show /);
  });

  t.test('they are confirmed, and get another role', async (t) => {
    t.match(await object('users confirm bob --json'), { username: 'bob', confirmed: true });
    t.match((await run('users role bob@example.com admin', env)).said, /bob {2}bob@example\.com {2}admin {2}confirmed$/);
    t.match(await object('users role bob user --json'), { role: 'user' });
    await assertRefused('users role bob bogus', /role is no role/);
    await assertRefused('users role ada user', /administrator/);
  });

  t.test('the password works; where they are logged in is listed, and ended', async (t) => {
    const service = await startInstance(t, env);
    const headers = { 'user-agent': 'Mozilla/5.0 (X11; Linux x86_64; rv:140.0) Gecko/20100101 Firefox/140.0' };
    const login = await service.post('/auth/login', { username: 'bob', password }, { headers });
    t.equal(login.status, 200);
    t.equal((await service.post('/auth/login', { username: 'bob', password }, { headers: { 'user-agent': 'x' } })).status, 200);
    t.equal((await service.post('/auth/login', { username: 'ada', password: admin.password })).body.user.role, 'admin');
    await service.app.close();

    const sessions = await objects('users sessions bob --json');
    t.equal(sessions.length, 2);
    t.strictSame(Object.keys(sessions[0]), ['id', 'createdAt', 'lastUsedAt', 'expiresAt', 'userAgent', 'device', 'ip']);
    t.match(sessions[1], { id: login.body.session.id, device: 'Firefox on Linux', ip: '127.0.0.1' });
    t.match((await run('users sessions bob', env)).said, /^\S{36} {2}\S+Z {2}127\.0\.0\.1 {2}x\n\S{36} .* {2}Firefox on Linux$/);
    t.strictSame(await object('users sessions bob --end --json'), { ended: 2 });
    t.match(await run('users sessions bob --end', env), { status: 0, said: '0 sessions ended' });
    t.equal((await objects('users sessions ada --json')).length, 1, 'nobody else is logged out');
  });

  t.test('they are shut out, let in again, and deleted', async (t) => {
    t.match((await run('users disable bob', env)).said, /user {2}confirmed, disabled$/);
    t.match(await object(`users show ${bob} --json`), { username: 'bob', disabled: true });
    await assertRefused('users delete ada --yes', /administrator/);
    t.match(await object('users enable bob --json'), { disabled: false });
    t.match(await run('users delete bob --yes', env), { status: 0, said: /./, complaints: '' });
    await assertRefused('users delete bob --yes', /./);
  });
});
