import { once } from 'node:events';
import { existsSync } from 'node:fs';
import { type AddressInfo, createServer } from 'node:net';
import { join } from 'node:path';
import t, { type Test } from 'tap';
import { mailKinds } from '../../src/db/kinds.ts';
import { run } from '../support/cli.ts';
import { noPostgres, startCluster } from '../support/cluster.ts';
import { createDatabase, onServer, query } from '../support/database.ts';
import { startProcess } from '../support/process.ts';

t.test('help names every command, and asks for no configuration', async (t) => {
  for (const argv of ['help', '--help', '-h', '']) {
    const { status, said, complaints } = await run(argv, { PORT: 'nonsense' });
    t.equal(status, 0, argv);
    for (const command of ['serve', 'migrate', 'mail status', 'mail retry ID', 'mail preview KIND']) t.match(said, `latchkey ${command}`);
    t.equal(complaints, '');
  }
});

t.test('help stands in columns, whatever a command is called', async (t) => {
  const { said } = await run('help');
  const purposes = said.split('\n').filter((line) => line.startsWith(' '));
  for (const line of purposes) t.match(line, /^ {2}latchkey (?:.{48} \S|users create \S.{48,}$)|^ {60}\S/, line);
  t.match(said, /\[--json\]\n {60}open an account/);
});

t.test('a command tells its usage, and does nothing, whatever stands beside that', async (t) => {
  for (const argv of ['users list --help', 'users list -h', 'users list --query ada --help more']) {
    const expected = /^Usage: latchkey users list \[--query TEXT\] \[--json\]\n\nthe users, /;
    t.match(await run(argv, { PORT: 'nonsense' }), { status: 0, said: expected, complaints: '' }, argv);
  }
  t.match(await run('serve --help', { PORT: 'nonsense' }), { status: 0, said: /^Usage: latchkey serve\n/, complaints: '' });
  t.match(await run('doctor -h', { PORT: 'nonsense' }), { status: 0, said: /^Usage: latchkey doctor \[--json\]\n/, complaints: '' });
  for (const argv of ['users --help', 'keys -h', 'mail help']) {
    t.match(await run(argv, { PORT: 'nonsense' }), { status: 0, said: /^Usage:\n {2}latchkey serve /, complaints: '' }, argv);
  }
  for (const argv of ['bogus --help', 'users bogus --help', 'constructor -h']) t.match(await run(argv), { status: 2, said: '' }, argv);
});

t.test('what it does not understand is refused with the usage, and does nothing', async (t) => {
  const unknown = ['bogus', 'mail', 'mail bogus', 'constructor', '__proto__', 'mail constructor', 'bogus list'];
  for (const argv of unknown) t.match(await run(argv), { status: 2, said: '', complaints: /^Usage:/ }, argv);
  const misused = {
    'mail preview': /expected 1 words, got 0\nUsage: latchkey mail preview KIND/,
    'mail preview bogus': /KIND is one of confirmation, /,
    'mail preview confirmation more': /expected 1 words, got 2/,
    'mail preview confirmation --bogus': /--bogus/,
    'mail preview confirmation --html=yes': /--html/,
    'mail status more': /expected 0 words, got 1\nUsage: latchkey mail status/,
    'mail retry': /expected 1 words, got 0/,
    'mail retry bogus': /ID is the id of a mail/,
    'mail retry a-----------------------------------': /ID is the id of a mail/,
    'migrate everything': /expected 0 words, got 1\nUsage: latchkey migrate/,
    'serve --port 80': /--port/,
  };
  for (const [argv, complaints] of Object.entries(misused)) t.match(await run(argv), { status: 2, said: '', complaints }, argv);
});

t.test('faults of the configuration are told, all of them, and nothing of their values', async (t) => {
  const { status, said, complaints } = await run('mail status', { PORT: 'nonsense', SMTP_URL: 'https://s3cret', LOG_LEVEL: 'loud' });
  t.equal(status, 1);
  t.equal(said, '');
  t.match(complaints, /^The configuration has 3 faults:/);
  for (const name of ['PORT', 'SMTP_URL', 'LOG_LEVEL']) t.match(complaints, `  - ${name} must be`);
  t.notMatch(complaints, /s3cret|nonsense|\n\s+at /);
});

t.test('a queue that does not exist is not made by looking at it', { skip: onServer && 'is about the embedded database' }, async (t) => {
  const DATA_DIR = join(t.testdir(), 'nothing');
  for (const argv of ['mail status', 'mail retry 0192d3c4-0000-7000-8000-000000000000']) {
    t.match(await run(argv, { DATA_DIR }), { status: 2, said: '', complaints: `there is no database in ${DATA_DIR} yet` }, argv);
    t.notOk(existsSync(DATA_DIR));
  }
});

t.test('a mail is shown before anybody gets it', async (t) => {
  t.test('in the language of --locale, else in English, as text or as HTML', async (t) => {
    const expected = {
      'mail preview confirmation': /^Subject: Confirm your e-mail address for Tea & Co\n\nHello,\n\n/,
      'mail preview confirmation --locale en-GB': /^Subject: Confirm your e-mail address for Tea & Co\n\nHello,\n\n/,
      'mail preview confirmation --locale de-AT': /^Subject: Bestätigen Sie Ihre E-Mail-Adresse für Tea & Co\n\nGuten Tag,\n\n/,
      'mail preview confirmation --locale de --html': /^<!doctype html>\n<html lang="de">[\s\S]*für Tea &amp; Co/,
      'mail preview confirmation --html': /^<!doctype html>\n<html lang="en">/,
    };
    for (const [argv, said] of Object.entries(expected)) {
      t.match(await run(argv, { SERVICE_NAME: 'Tea & Co' }), { status: 0, said, complaints: '' }, argv);
    }
  });

  t.test('every kind of it, with the links that are configured', async (t) => {
    const env = { RESET_URL: 'https://app.example/reset#{token}', CONFIRMATION_TTL_SECONDS: '5400' };
    for (const kind of mailKinds) t.match(await run(`mail preview ${kind}`, env), { status: 0, said: /^Subject: \S/ }, kind);
    t.match((await run('mail preview password_reset', env)).said, '\nhttps://app.example/reset#the-token-of-this-mail\n');
    const { said } = await run('mail preview confirmation', env);
    t.match(said, '\nhttp://localhost:3000/auth/confirm/the-token-of-this-mail\n');
    t.match(said, 'works for 90 minutes');
    t.notMatch((await run('mail preview password_changed', env)).said, /https?:/);
  });

  t.test('unless the templates do not work, which is told in words', async (t) => {
    const { status, complaints } = await run('mail preview confirmation', { MAIL_TEMPLATES_DIR: '/no/such/directory' });
    t.equal(status, 1);
    t.match(complaints, /^The mail templates in \/no\/such\/directory do not work:/);
    t.notMatch(complaints, /\n\s+at /);
  });
});

t.test('migrate', async (t) => {
  t.test('says that there is nothing to do without DATABASE_URL', async (t) => {
    t.match(await run('migrate'), { status: 0, said: /DATABASE_URL is not set: the embedded database is migrated when/, complaints: '' });
  });

  t.test('tells in words that no database answers', async (t) => {
    const { status, said, complaints } = await run('migrate', { DATABASE_URL: 'postgres://ada:s3cret@127.0.0.1:1/latchkey' });
    t.equal(status, 1);
    t.equal(said, '');
    t.match(complaints, /ECONNREFUSED/);
    t.notMatch(complaints, /s3cret|\n\s+at /);
  });

  t.test('says in words whom the database does not let in, and what tells more', { skip: noPostgres }, async (t) => {
    const cluster = await startCluster(t);
    const urlOf = (role: string, name = 'postgres') => `postgres://${role}@127.0.0.1:${cluster.port}/${name}`;
    for (const rules of ['shut nologin', 'full login connection limit 0', 'poor login']) await query(cluster.url, `create role ${rules}`);
    const refusals: [string, string][] = [
      [urlOf('postgres', 'none'), 'database "none" does not exist'],
      [urlOf('shut'), 'role "shut" is not permitted to log in'],
      [urlOf('full'), 'too many connections for role "full"'],
      [urlOf('poor'), 'permission denied for database postgres'],
    ];
    const env = { DATA_DIR: join(t.testdir(), 'data') };
    for (const [DATABASE_URL, words] of refusals) {
      const expected = { status: 1, said: '', complaints: `${words}\n\`latchkey doctor\` tells more.` };
      for (const argv of ['migrate', 'mail status', 'users list']) t.strictSame(await run(argv, { ...env, DATABASE_URL }), expected, argv);
    }
    const service = startProcess(t, { file: 'src/server.ts' }, { ...env, DATABASE_URL: urlOf('postgres', 'none') });
    t.match(await service.ended(), { code: 1, signal: null });
    t.strictSame(service.output, { stdout: '', stderr: 'database "none" does not exist\n`latchkey doctor` tells more.\n' });
  });

  t.test('says so of a wrong password, and of a server that is starting', async (t) => {
    const refusals = { '28P01': 'password authentication failed for user "ada"', '57P03': 'the database system is starting up' };
    for (const [code, words] of Object.entries(refusals)) {
      const DATABASE_URL = `postgres://ada:s3cret@127.0.0.1:${await startRefusing(t, code, words)}/latchkey`;
      const { status, complaints } = await run('migrate', { DATABASE_URL });
      t.strictSame({ status, complaints }, { status: 1, complaints: `${words}\n\`latchkey doctor\` tells more.` });
    }
  });

  t.test('brings a server up to date, any number of times', { skip: !onServer }, async (t) => {
    const env = await createDatabase(t);
    for (const _ of [1, 2]) t.match(await run('migrate', env), { status: 0, said: 'The schema is up to date.' });
    t.match(await run('mail status', env), { status: 0, said: /^queued 0, / });
  });
});

/** A server that lets nobody in, and says so in PostgreSQL's words. */
async function startRefusing(t: Test, code: string, words: string): Promise<number> {
  const fields = Buffer.from(`SFATAL\0VFATAL\0C${code}\0M${words}\0\0`);
  const head = Buffer.from([69, 0, 0, 0, fields.length + 4]);
  const server = createServer((socket) => socket.once('data', () => socket.end(Buffer.concat([head, fields]))));
  await once(server.listen(0, '127.0.0.1'), 'listening');
  t.teardown(() => server.close());
  return (server.address() as AddressInfo).port;
}

t.test(
  'standard output that is not written ends nothing with a stack',
  { skip: !existsSync('/dev/full') && 'there is no /dev/full' },
  async (t) => {
    const inShell = async (script: string, env: Readonly<Record<string, string>> = {}) => {
      const latchkey = `latchkey() { "$NODE" --import=./scripts/typescript.js src/cli/main.ts "$@"; }`;
      const shell = startProcess(t, { command: ['bash', '-c', `${latchkey}; ${script}`] }, { NODE: process.execPath, ...env });
      await shell.ended();
      return shell.output;
    };
    const full = /^Standard output cannot be written: ENOSPC\b.*\n$/;

    t.test('because who reads has enough, which is told nobody', async (t) => {
      for (const argv of ['config', 'help']) {
        t.strictSame(await inShell(`latchkey ${argv} | true; echo "\${PIPESTATUS[0]}"`), { stdout: '0\n', stderr: '' }, argv);
      }
      t.strictSame(await inShell('latchkey bogus 2>&1 | true; echo "${PIPESTATUS[0]}"'), { stdout: '2\n', stderr: '' });
    });

    t.test('because a disk is full, which is told once, and is not what the doctor finds', async (t) => {
      for (const argv of ['config', 'help'])
        t.match(await inShell(`latchkey ${argv} > /dev/full; echo $?`), { stdout: '74\n', stderr: full }, argv);
      const DATABASE_URL = 'postgres://ada@127.0.0.1:1/latchkey';
      t.match(await inShell('latchkey doctor > /dev/full; echo $?', { DATABASE_URL }), { stdout: '74\n', stderr: full });
      t.match(await inShell('latchkey doctor > /dev/null; echo $?', { DATABASE_URL }), { stdout: '1\n', stderr: '' });
      t.strictSame(await inShell('latchkey config > /dev/full 2>&1; echo $?'), { stdout: '74\n', stderr: '' });
    });
  },
);
