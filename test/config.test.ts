import { randomBytes } from 'node:crypto';
import t from 'tap';
import { ConfigError, loadConfig } from '../src/config.ts';

const secret = 'q9Xv2LmB7cTz4RkW8sYd1NfH6gJp3KaE';
const production = {
  NODE_ENV: 'production',
  DATABASE_URL: 'postgres://latchkey@db/latchkey',
  SMTP_URL: 'smtps://mail.example.com',
  PUBLIC_URL: 'https://accounts.example.com',
  AUTH_SECRET: secret,
  MAIL_FROM: 'Latchkey <no-reply@example.com>',
};

/** What is wrong with an environment; none when it is accepted. */
function faultOf(env: Record<string, string | undefined>): ConfigError | undefined {
  try {
    loadConfig(env);
    return undefined;
  } catch (error) {
    if (error instanceof ConfigError) return error;
    throw error;
  }
}

/** The variables that are at fault. */
function faultsOf(env: Record<string, string | undefined>): string[] {
  return faultOf(env)?.faults.map((fault) => fault.split(' ')[0] ?? '') ?? [];
}

t.test('without any variable the service runs on this machine alone, with what is embedded', async (t) => {
  t.match(loadConfig({}), {
    production: false,
    serviceName: 'Latchkey',
    dataDir: '.latchkey',
    server: { host: '127.0.0.1', port: 3000, publicUrl: 'http://localhost:3000', trustedProxies: [], logLevel: 'info' },
    databaseUrl: undefined,
    authSecrets: [],
    tokens: { accessTtlSeconds: 300 },
    passwords: { minLength: 8, argon2MemoryKib: 19_456, argon2Passes: 2 },
    rateLimit: true,
  });
  t.equal(loadConfig({}).mail.smtpUrl, undefined);
  t.equal(loadConfig({ PORT: '8080' }).server.publicUrl, 'http://localhost:8080');
});

t.test('a variable that is empty or blank counts as absent', async (t) => {
  const blank = Object.fromEntries(
    ['NODE_ENV', 'PORT', 'DATABASE_URL', 'SMTP_URL', 'AUTH_SECRET', 'MAIL_FROM', 'PUBLIC_URL'].map((name) => [name, ' ']),
  );
  t.same(loadConfig(blank), loadConfig({}));
  t.same(loadConfig({ PORT: ' 80 ' }).server.port, 80, 'and blanks around a value do not count');
});

t.test('production that is wholly configured starts', async (t) => {
  t.match(loadConfig(production), {
    production: true,
    databaseUrl: production.DATABASE_URL,
    server: { publicUrl: 'https://accounts.example.com' },
    mail: { smtpUrl: production.SMTP_URL, from: { name: 'Latchkey', address: 'no-reply@example.com' } },
    authSecrets: [secret],
  });
});

t.test('production demands each of its variables', async (t) => {
  for (const name of ['DATABASE_URL', 'SMTP_URL', 'PUBLIC_URL', 'AUTH_SECRET', 'MAIL_FROM']) {
    t.same(faultsOf({ ...production, [name]: undefined }), [name]);
    t.same(faultsOf({ ...production, [name]: '' }), [name], 'an empty one is missing, too');
  }
  t.same(faultsOf({ NODE_ENV: 'production' }).sort(), ['AUTH_SECRET', 'DATABASE_URL', 'MAIL_FROM', 'PUBLIC_URL', 'SMTP_URL']);
});

t.test('production is reached over https only', async (t) => {
  t.same(faultsOf({ ...production, PUBLIC_URL: 'http://accounts.example.com' }), ['PUBLIC_URL']);
  t.same(faultsOf({ PUBLIC_URL: 'http://accounts.example.com' }), []);
});

t.test('every fault is reported at once, and none of the values', async (t) => {
  const wrong = {
    NODE_ENV: 'staging-canary',
    PORT: '70000',
    PUBLIC_URL: 'ftp://canary.example',
    DATABASE_URL: 'mysql://user:canary@db',
    SMTP_URL: 'http://user:canary@mail',
    MAIL_FROM: 'canary',
    AUTH_SECRET: 'canary',
    CONFIRM_URL: 'https://canary.example/confirm',
    LOG_LEVEL: 'canary',
    TRUSTED_PROXIES: 'canary',
    ACCESS_TOKEN_TTL_SECONDS: '0',
    CONFIRMATION_TTL_SECONDS: '-1',
    PASSWORD_MIN_LENGTH: '7',
    ARGON2_MEMORY_KIB: '7',
    ARGON2_PASSES: '0',
    UV_THREADPOOL_SIZE: '0',
    RATE_LIMIT: 'canary',
    SERVICE_NAME: 'canary\r\nBcc: b@y.test',
    DATA_DIR: 'canary\0',
    HOST: 'canary\n',
  };
  const names = Object.keys(wrong).filter((name) => name !== 'HOST');
  t.same(faultsOf(wrong).sort(), names.sort(), 'a line break at the end is cut off');
  const message = faultOf(wrong)?.message ?? '';
  t.match(message, `${names.length} faults`);
  t.equal(message.split('\n').length, names.length + 1);
  t.notMatch(message, /canary/);
});

t.test('metrics have a port of their own', async (t) => {
  for (const env of [{ METRICS_PORT: '3000' }, { PORT: '9464', METRICS_PORT: '9464' }, { METRICS_PORT: '65536' }])
    t.same(faultsOf(env), ['METRICS_PORT']);
  t.match(faultOf({ METRICS_PORT: '3000' })?.message, /METRICS_PORT must be another port than PORT/);
  for (const env of [{ METRICS_PORT: '3001' }, { PORT: '0', METRICS_PORT: '0' }]) t.same(faultsOf(env), []);
  t.equal(loadConfig({}).server.metricsPort, undefined);
});

t.test('J03: a secret that is short, uniform or a well-known placeholder is refused', async (t) => {
  const weak = [
    'secret',
    secret.slice(0, 31),
    'a'.repeat(64),
    'changeme'.repeat(8),
    '0123456789'.repeat(4),
    'ABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789',
    '9876543210zyxwvutsrqponmlkjihgfedcba',
    'please-replace-me-before-you-go-live!!',
    'put-Your-Secret-of-forty-characters-here',
    'an-example-of-a-secret-from-the-manual',
    'super-secret-jwt-token-with-at-least-32-characters-long',
    'your-super-long-jwt-signing-key-of-32-bytes',
    'a-string-secret-of-256-bits-or-more-of-them',
    'keyboard cat, who sleeps on the keyboard',
    'dev-secret-do-not-use-in-production',
    'THIS_IS_A_SECRET_KEY_FOR_JWT_TOKENS',
    'qwertyuiopasdfghjklzxcvbnm123456',
    '404E635266556A586E3272357538782F413F4428472B4B6250645367566B5970',
    'by-default-q9Xv2LmB7cTz4RkW8sYd1NfH6g',
    'insert-q9Xv2LmB7cTz4RkW8sYd1NfH6gJp3K',
    'placeholder-q9Xv2LmB7cTz4RkW8sYd1NfH6',
    'My-Password-q9Xv2LmB7cTz4RkW8sYd1NfH6',
    `${secret},short`,
    `${secret},`,
    ',',
  ];
  for (const value of weak) t.same(faultsOf({ AUTH_SECRET: value }), ['AUTH_SECRET'], value);
  const random = [randomBytes(16).toString('hex'), randomBytes(24).toString('base64'), randomBytes(48).toString('base64url')];
  for (const value of random) t.same(faultsOf({ AUTH_SECRET: value }), [], value);
  t.same(loadConfig({ AUTH_SECRET: `${secret}, ${secret}2` }).authSecrets, [secret, `${secret}2`]);
});

t.test('a public address is known by its normal form', async (t) => {
  const addressOf = (value: string) => loadConfig({ PUBLIC_URL: value }).server.publicUrl;
  for (const value of ['HTTPS://Accounts.Example.COM', 'https:accounts.example.com', 'https://accounts.example.com:443/'])
    t.equal(addressOf(value), 'https://accounts.example.com');
  t.equal(addressOf('http://LOCALHOST:3000/accounts//'), 'http://localhost:3000/accounts');
});

t.test('people are sent on to no other application than one on the web', async (t) => {
  for (const url of ['https://app.test', 'http://localhost:5173/welcome?from=mail#top', ' https://app.test/ ']) {
    t.same(faultsOf({ APP_URL: url }), [], url);
    t.equal(loadConfig({ APP_URL: url }).appUrl, url.trim());
  }
  const wrong = [
    'x',
    'app.test',
    '//app.test',
    '/welcome',
    'https://',
    'https://user@app.test',
    'ftp://app.test',
    'myapp://welcome',
    'javascript:alert(1)',
    'data:text/html,x',
    'file:///etc/passwd',
  ];
  for (const url of wrong) t.same(faultsOf({ APP_URL: url }), ['APP_URL'], url);
  t.equal(loadConfig({ APP_URL: ' ' }).appUrl, undefined);
});

t.test('people are sent to no other login than one on the web, in production over https only', async (t) => {
  t.equal(loadConfig({}).loginUrl, undefined);
  t.equal(loadConfig({ LOGIN_URL: ' ' }).loginUrl, undefined);
  for (const url of ['https://app.test/login', 'http://localhost:5173/login?from=proxy#top', ' https://app.test ']) {
    t.equal(loadConfig({ LOGIN_URL: url }).loginUrl, url.trim());
  }
  const wrong = ['x', '/login', '//app.test', 'https://', 'https:/app.test', 'https://user@app.test', 'https://:secret@app.test'];
  for (const url of [...wrong, 'javascript:alert(1)', 'myapp://login']) t.same(faultsOf({ LOGIN_URL: url }), ['LOGIN_URL'], url);
  for (const url of ['https://app.test/\u0000', 'https://app.test/\r\nX: y']) t.equal(faultsOf({ LOGIN_URL: url })[0], 'LOGIN_URL');
  t.same(faultsOf({ ...production, LOGIN_URL: 'https://app.example.com/login' }), []);
  for (const url of ['http://app.example.com/login', 'http://localhost/login', 'HTTP://app.example.com']) {
    t.same(faultsOf({ ...production, LOGIN_URL: url }), ['LOGIN_URL'], url);
  }
});

t.test('an application behind the service is an address, and paths in it', async (t) => {
  const base = { UPSTREAM_URL: 'http://127.0.0.1:8080' };
  t.equal(loadConfig({}).upstream, undefined);
  t.same(loadConfig(base).upstream, { url: 'http://127.0.0.1:8080', jwt: false, publicPaths: [], timeoutSeconds: 30 });
  for (const url of ['https://App.Test/', ' https://app.test'])
    t.equal(loadConfig({ UPSTREAM_URL: url }).upstream?.url, 'https://app.test');
  for (const url of [
    'app:8080',
    'ws://app',
    'http://app/path',
    'http://app?a',
    'http://app#a',
    'http://user@app',
    'http://:x@app',
    '//app',
    'x',
  ]) {
    t.same(faultsOf({ UPSTREAM_URL: url }), ['UPSTREAM_URL'], url);
  }
  const pathsOf = (paths: string) => loadConfig({ ...base, UPSTREAM_PUBLIC_PATHS: paths }).upstream?.publicPaths;
  t.same(pathsOf('/static, /hooks/in/,,/.well-known/x'), ['/static', '/hooks/in', '/.well-known/x']);
  t.same(pathsOf('/'), ['/']);
  for (const paths of [
    'static',
    '/a/../b',
    '/..',
    '/.',
    '/a/./b',
    '/..;x',
    '/a*',
    '/:id',
    '/%61',
    '/a?b',
    '/a#b',
    '//a',
    '/a//b',
    '/a b',
    '/\\a',
    '/ü',
  ]) {
    t.same(faultsOf({ ...base, UPSTREAM_PUBLIC_PATHS: paths }), ['UPSTREAM_PUBLIC_PATHS'], paths);
  }
  t.same(faultsOf({ ...base, UPSTREAM_JWT: 'yes' }), ['UPSTREAM_JWT']);
  t.same(faultsOf({ ...base, UPSTREAM_TIMEOUT_SECONDS: '0' }), ['UPSTREAM_TIMEOUT_SECONDS']);
  for (const name of ['UPSTREAM_JWT', 'UPSTREAM_PUBLIC_PATHS', 'UPSTREAM_TIMEOUT_SECONDS'])
    t.same(faultsOf({ [name]: '1' }), [name], 'alone');
});

t.test('the policy of confirmation is one of two', async (t) => {
  t.equal(loadConfig({}).confirmPolicy, 'session');
  t.equal(loadConfig({ CONFIRM_POLICY: 'link' }).confirmPolicy, 'link');
  for (const policy of ['none', 'LINK', 'session,link']) t.same(faultsOf({ CONFIRM_POLICY: policy }), ['CONFIRM_POLICY'], policy);
});

t.test('links are built from PUBLIC_URL, or from a template that has a place for the token', async (t) => {
  t.equal(loadConfig({ PUBLIC_URL: 'https://x.test//' }).server.publicUrl, 'https://x.test');
  for (const url of ['myapp://confirm/{token}', 'https://app.test/#/confirm?token={token}']) t.same(faultsOf({ CONFIRM_URL: url }), []);
  for (const url of ['https://app.test/confirm', '{token}', 'javascript:alert("{token}")', 'data:text/html,{token}', '/confirm/{token}']) {
    t.same(faultsOf({ CONFIRM_URL: url }), ['CONFIRM_URL'], url);
  }
  for (const url of ['https://user@x.test', 'https://x.test?a', 'https://x.test#a', 'https://', 'x.test', '//x.test']) {
    t.same(faultsOf({ PUBLIC_URL: url }), ['PUBLIC_URL'], url);
  }
});
