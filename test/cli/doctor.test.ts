import { randomBytes } from 'node:crypto';
import t, { type Test } from 'tap';
import type { Subject } from '../../src/doctor/finding.ts';
import { within } from '../../src/doctor/finding.ts';
import { run } from '../support/cli.ts';
import { examine, faultsIn, finds, mended } from '../support/doctor.ts';
import { canary, leaksOf } from '../support/log-canary.ts';
import { startProcess } from '../support/process.ts';

const secret = () => randomBytes(48).toString('base64');
/** Nothing listens on port 1: what servers answer is for the tests beside this one. */
const production = {
  NODE_ENV: 'production',
  PUBLIC_URL: 'https://accounts.example.com',
  DATABASE_URL: 'postgres://latchkey:d0gv4r9ruJ@127.0.0.1:1/latchkey',
  SMTP_URL: 'smtp://127.0.0.1:1',
  MAIL_FROM: 'Accounts <no-reply@example.com>',
  AUTH_SECRET: secret(),
  TRUSTED_PROXIES: '127.0.0.1',
};

type Env = Readonly<Record<string, string>>;
const faults = async (t: Test, subject: Subject, env: Env) => faultsIn(await examine(t, env, subject));

t.test('the command', async (t) => {
  t.test('tells each finding in a line, and what mends it in the next; warnings are no failure', async (t) => {
    const { status, said, complaints } = await run('doctor', {});
    t.match({ status, complaints }, { status: 0, complaints: '' });
    const lines = said.split('\n');
    t.strictSame(lines.slice(0, 2), [
      'warning  configuration NODE_ENV is not production: this is for development',
      '         NODE_ENV=production',
    ]);
    for (const line of lines)
      t.match(
        line,
        /^(?:(?:ok {5}|warning|error {2}) {2}(?:configuration|database {5}|mail {9}|address {6}|cookies {6}|secrets {6}) \S| {9}\S)/,
      );
  });

  t.test('gives a program a list and nothing else', async (t) => {
    const findings = await examine(t, {});
    t.strictSame(
      [...new Set(findings.map(({ subject }) => subject))],
      ['configuration', 'database', 'mail', 'address', 'cookies', 'secrets'],
    );
  });

  t.test('refuses what it does not understand', async (t) => {
    for (const argv of ['doctor --bogus', 'doctor database', 'doctor --json=yes']) {
      t.match(await run(argv, { PORT: 'x' }), { status: 2, said: '', complaints: /Usage: latchkey doctor \[--json\]$/ }, argv);
    }
  });

  t.test('ends with the status as a process', async (t) => {
    const command = [process.execPath, '--import=./scripts/typescript.js', 'src/cli/main.ts', 'doctor', '--json'] as const;
    const child = startProcess(t, { command }, { PORT: 'x' });
    t.match(await child.ended(), { code: 1, signal: null });
    t.match(JSON.parse(child.output.stdout), [{ subject: 'configuration', level: 'error', mend: 'unset PORT' }]);
    t.equal(child.output.stderr, '');
  });

  t.test('waits for nothing for ever', async (t) => {
    await t.rejects(within(0.01, new Promise(() => {})), /timed out/);
    t.equal(await within(1, Promise.resolve('done')), 'done');
  });
});

t.test('faults of the configuration, each by itself, with a line that would be right', async (t) => {
  const found = await examine(t, {
    PORT: canary,
    SMTP_URL: `https://${canary}`,
    UPSTREAM_JWT: 'on',
    DKIM_DOMAIN: 'example.com',
    NODE_ENV: 'production',
  });
  const expected: [what: string, mend: string][] = [
    ['PUBLIC_URL is missing', 'PUBLIC_URL=https://accounts.example.com'],
    ['DATABASE_URL is missing', 'DATABASE_URL=postgres://USER:PASSWORD@HOST:5432/NAME'],
    ['SMTP_URL must be', 'SMTP_URL=smtps://USER:PASSWORD@HOST'],
    ['MAIL_FROM is missing', "MAIL_FROM='Accounts <no-reply@example.com>'"],
    ['AUTH_SECRET is missing', 'AUTH_SECRET="$(openssl rand -base64 48)"'],
    ['PORT must be', 'unset PORT'],
    ['UPSTREAM_JWT means nothing', 'unset UPSTREAM_JWT'],
    ['DKIM_* needs', 'unset DKIM_DOMAIN DKIM_SELECTOR DKIM_PRIVATE_KEY'],
  ];
  t.equal(found.length, expected.length);
  for (const [what, mend] of expected)
    t.match(
      found.find((each) => each.what.startsWith(what)),
      { subject: 'configuration', level: 'error', mend },
      what,
    );
  t.notMatch(JSON.stringify(found), new RegExp(canary));
});

t.test('a configuration that loads', async (t) => {
  const about = (env: Env) => faults(t, 'configuration', { ...production, ...env });
  finds(t, await about({}), []);
  finds(t, await about({ RATE_LIMIT: 'off' }), [{ level: 'warning', mend: 'RATE_LIMIT=on' }]);
  for (const LOG_LEVEL of ['trace', 'debug']) finds(t, await about({ LOG_LEVEL }), [{ level: 'warning', mend: 'LOG_LEVEL=info' }]);
  finds(t, await faults(t, 'configuration', { RATE_LIMIT: 'off', LOG_LEVEL: 'debug' }), [
    { level: 'warning', mend: 'NODE_ENV=production' },
  ]);
  const SMTP_URL = "smtp://0.0.0.0:1?requireTLS=false&name=$('odd' `name`)";
  const found = await about({ SMTP_URL });
  finds(t, found, [{ level: 'warning', what: /requireTLS=false/ }]);
  t.strictSame(mended(found, { SMTP_URL }), { SMTP_URL: SMTP_URL.replace('false', 'true') });
  for (const url of ['smtp://127.0.0.1:1?requireTLS=false', 'smtps://0.0.0.0:1?requireTLS=false', 'smtp://0.0.0.0:1'])
    finds(t, await about({ SMTP_URL: url }), []);
});

t.test('nothing secret is told, however it is written', async (t) => {
  const env = {
    ...production,
    AUTH_SECRET: `${canary}${secret()},${canary}${secret()}`,
    CONFIRM_URL: `https://${canary}:${canary}@app.example.com/confirm?key=${canary}&token={token}`,
    APP_URL: `https://app.example.com/?key=${canary}`,
    REDIS_URL: `redis://${canary}:${canary}@127.0.0.1:1`,
  };
  const urls = [
    { DATABASE_URL: `postgres://${canary}:${canary}@127.0.0.1:1/x?password=${canary}`, SMTP_URL: `smtp://${canary}:${canary}@127.0.0.1:1` },
    { DATABASE_URL: `postgres://latchkey:4711/${canary}@127.0.0.1/latchkey`, SMTP_URL: `smtp://u:1#${canary}@127.0.0.1` },
    { DATABASE_URL: `postgres://u:1?${canary}@127.0.0.1/x`, SMTP_URL: `smtp://u:%${canary}@127.0.0.1:1` },
    { DATABASE_URL: `postgres://u:1#${canary}@127.0.0.1/x`, SMTP_URL: `smtp://me@${canary}@127.0.0.1:1` },
  ];
  for (const each of urls) {
    for (const argv of ['doctor', 'doctor --json']) {
      const { said, complaints } = await run(argv, { ...env, ...each });
      t.strictSame(
        leaksOf([said + complaints], [env.AUTH_SECRET]).filter((leak) => !/credentials of a URL/.test(leak)),
        [],
        argv,
      );
      t.equal(complaints, '');
    }
  }
  const misread = (await faults(t, 'configuration', { ...env, ...urls[1] })).map(({ what }) => what.split(' ')[0]);
  t.strictSame(misread, ['DATABASE_URL', 'SMTP_URL'], 'and it is said that they are misread');
});

t.test('addresses and proxies', async (t) => {
  const about = (env: Env, base: Env = production) => faults(t, 'address', { ...base, ...env });
  finds(t, await about({}), []);
  finds(t, await about({}, {}), []);
  finds(t, await about({ PUBLIC_URL: 'https://localhost' }), [{ level: 'error', what: /this machine/ }]);
  finds(t, await about({ PUBLIC_URL: 'http://accounts.example.com:8080' }, {}), [
    { level: 'warning', mend: 'PUBLIC_URL=https://accounts.example.com:8080' },
  ]);
  const alone = { TRUSTED_PROXIES: '' };
  finds(t, await about(alone), [{ level: 'warning', what: /share its limits/, mend: 'TRUSTED_PROXIES=127.0.0.1' }]);
  finds(t, await about({ ...alone, HOST: '::1' }), [{ level: 'warning', mend: 'TRUSTED_PROXIES=::1' }]);
  finds(t, await about({ ...alone, HOST: '0.0.0.0' }), [{ level: 'warning', mend: 'TRUSTED_PROXIES=ADDRESS_OF_THE_PROXY' }]);
  finds(t, await about({ TRUSTED_PROXIES: '10.0.0.0/10' }), []);
  finds(t, await about({ HOST: '0.0.0.0' }, {}), [{ level: 'warning', what: /\/dev\/mail/, mend: 'HOST=127.0.0.1' }]);
  finds(t, await about({ HOST: '0.0.0.0', SMTP_URL: 'smtp://127.0.0.1:1' }, {}), []);
});

t.test('cookies, and the origins that may send them', async (t) => {
  const about = (env: Env, base: Env = production) => faults(t, 'cookies', { ...base, ...env });
  finds(t, await about({}), []);
  for (const CORS_ORIGINS of ['https://app.example.com,https://example.com', 'https://a.accounts.example.com'])
    finds(t, await about({ CORS_ORIGINS }), []);
  for (const CORS_ORIGINS of ['https://app.example.net', 'https://10.0.0.1'])
    finds(t, await about({ CORS_ORIGINS }), [{ level: 'warning', what: /another site/ }]);
  const numbers = { PUBLIC_URL: 'http://10.0.0.1:3000' };
  finds(t, await about({ ...numbers, CORS_ORIGINS: 'http://11.0.0.1:3000' }, {}), [{ level: 'warning', what: /another site/ }]);
  finds(t, await about({ ...numbers, CORS_ORIGINS: 'http://10.0.0.1:5173' }, {}), []);
  finds(t, await about({ CORS_ORIGINS: 'http://localhost:5173' }, {}), []);
  finds(t, await about({ CORS_ORIGINS: 'https://localhost:5173' }, {}), [{ level: 'warning', what: /another site/ }]);
  finds(t, await about({ CORS_ORIGINS: 'https://www.example.com,http://app.example.com' }), [
    {
      level: 'error',
      what: /http:\/\/app\.example\.com is not https/,
      mend: 'CORS_ORIGINS=https://www.example.com,https://app.example.com',
    },
  ]);
  const app = { APP_URL: 'https://app.example.com/home', CONFIRM_URL: 'https://app.example.com/confirm#{token}' };
  finds(t, await about(app), [{ level: 'warning', what: /\(APP_URL, CONFIRM_URL\)/, mend: 'CORS_ORIGINS=https://app.example.com' }]);
  finds(t, await about({ ...app, CORS_ORIGINS: 'https://app.example.com' }), []);
  finds(t, await about({ APP_URL: 'https://accounts.example.com/app', CONFIRM_URL: 'myapp://confirm/{token}' }), []);
  finds(t, await about({ LOGIN_URL: 'https://login.example.com', CORS_ORIGINS: 'https://www.example.com' }), [
    { level: 'warning', mend: 'CORS_ORIGINS=https://www.example.com,https://login.example.com' },
  ]);
});

t.test('secrets and passwords', async (t) => {
  const about = (env: Env) => faults(t, 'secrets', { ...production, ...env });
  finds(t, await about({}), []);
  finds(t, await about({ AUTH_SECRET: '83910572648190357264819203746510' }), [
    { level: 'warning', what: /106 bits/, mend: /^AUTH_SECRET="\$\(openssl/ },
  ]);
  finds(t, await about({ AUTH_SECRET: randomBytes(16).toString('hex') }), []);
  const three = [secret(), secret(), secret()];
  finds(t, await about({ AUTH_SECRET: three.join(',') }), []);
  finds(t, await about({ AUTH_SECRET: [...three, secret()].join(',') }), [
    { level: 'warning', what: /has 4 secrets/, mend: 'AUTH_SECRET="$(printf %s "$AUTH_SECRET" | cut -d, -f1-3)"' },
  ]);
  finds(t, await about({ AUTH_SECRET: [three[0], three[0]].join(',') }), [{ level: 'warning', what: /twice/ }]);

  const servers = { DATABASE_URL: 'postgres', SMTP_URL: 'smtp', REDIS_URL: 'redis' };
  for (const [name, scheme] of Object.entries(servers)) {
    const at = (credentials: string, host = '0.0.0.0:1') => about({ [name]: `${scheme}://${credentials}@${host}/1` });
    for (const password of ['password', 'latchkey', 'someuser', '12345678']) {
      finds(t, await at(`someuser:${password}`), [
        { level: 'warning', what: new RegExp(`${name} is one that is tried first`), mend: 'openssl rand -hex 24' },
      ]);
    }
    finds(t, await at('someuser'), [{ level: 'warning', what: new RegExp(`${name} has no password`) }]);
    finds(t, await at('someuser:x7Gq%2FpT2vLm9'), []);
    finds(t, await at('someuser:password', '127.0.0.1:1'), []);
  }
  finds(t, await about({ SMTP_URL: 'smtp://0.0.0.0:1' }), []);
  finds(t, await about({ DATABASE_URL: 'postgres://latchkey@%2Fvar%2Frun%2Fpostgresql/latchkey' }), []);
});
