import { generateKeyPairSync, randomBytes } from 'node:crypto';
import t from 'tap';
import { run } from '../support/cli.ts';

const canary = 'c4n4ry';
const { privateKey } = generateKeyPairSync('rsa', {
  modulusLength: 1024,
  privateKeyEncoding: { type: 'pkcs8', format: 'pem' },
  publicKeyEncoding: { type: 'spki', format: 'pem' },
});
const secret = `${canary}${randomBytes(32).toString('base64url')}`;

t.test('the configuration is shown without anything secret', async (t) => {
  const { status, said, complaints } = await run('config', {
    NODE_ENV: 'production',
    PUBLIC_URL: 'https://accounts.example.com',
    DATABASE_URL: `postgres://${canary}:${canary}@db.example.com:5432/accounts?password=${canary}`,
    SMTP_URL: `smtps://${canary}%40example.com:${canary}@mail.example.com`,
    REDIS_URL: `rediss://:${canary}@redis.example.com/3`,
    PASSWORD_RANGE_URL: 'https://ranges.example.com/range',
    MAIL_FROM: 'Accounts <no-reply@example.com>',
    AUTH_SECRET: `${secret},${secret}2`,
    DKIM_DOMAIN: 'example.com',
    DKIM_SELECTOR: 'mail',
    DKIM_PRIVATE_KEY: privateKey,
    CONFIRM_URL: 'https://app.example.com/confirm#{token}',
    APP_URL: `https://app.example.com/?key=${canary}`,
    LOGIN_URL: `https://app.example.com/login?key=${canary}`,
  });
  t.equal(status, 0, complaints);
  t.notMatch(said, new RegExp(canary));
  t.notMatch(said, privateKey.split('\n')[1] as string);
  t.match(JSON.parse(said), {
    production: true,
    databaseUrl: 'postgres://(hidden)@db.example.com:5432/accounts?(hidden)',
    redisUrl: 'rediss://(hidden)@redis.example.com/3',
    mail: {
      smtpUrl: 'smtps://(hidden)@mail.example.com',
      links: { confirmation: 'https://app.example.com/confirm#{token}' },
      dkim: { domainName: 'example.com', privateKey: '(hidden)' },
    },
    authSecrets: ['(hidden)', '(hidden)'],
    appUrl: 'https://app.example.com/?(hidden)',
    loginUrl: 'https://app.example.com/login?(hidden)',
    passwords: { rangeUrl: 'https://ranges.example.com/range', minLength: 8 },
    rateLimit: true,
  });
});

t.test('a password that was not encoded is not shown, either', async (t) => {
  const wrong = {
    DATABASE_URL: [
      `postgres://latchkey:4711/${canary}@db.example/latchkey`,
      `postgres://u:Top{token}${canary}@db/x`,
      `postgres://u:1#${canary}@db/x`,
    ],
    CONFIRM_URL: [`https://user:${canary}@app.example/confirm#{token}`, `https://app.example/confirm?key=${canary}&token={token}`],
    APP_URL: [`https://app.example/#access=${canary}`],
    SMTP_URL: [`smtps://me@${canary}@mail.example`],
  };
  for (const [name, values] of Object.entries(wrong)) {
    for (const value of values) {
      const { said, complaints } = await run('config', { [name]: value });
      t.notMatch(said + complaints, new RegExp(canary), value);
    }
  }
  t.match(await run('config', { REDIS_URL: `redis://default:123#${canary}@redis.example:6379` }), { status: 1, complaints: /REDIS_URL/ });
  t.match(await run('config', { REDIS_URL: 'redis://redis.example:6379/abc' }), { status: 1, complaints: /REDIS_URL/ });
  t.match(await run('config', { PASSWORD_RANGE_URL: `https://:${canary}@ranges.example` }), {
    status: 1,
    complaints: /PASSWORD_RANGE_URL/,
  });
});

t.test('what is not set is shown as null, and what is wrong is told instead', async (t) => {
  t.match(JSON.parse((await run('config', {})).said), { databaseUrl: null, redisUrl: null, authSecrets: [], server: { port: 3000 } });
  t.match(await run('config', { PORT: 'x', REDIS_URL: 'http://x', PASSWORD_RANGE_URL: 'http://ranges.example.com' }), {
    status: 1,
    said: '',
    complaints: /3 faults.*PORT.*REDIS_URL.*PASSWORD_RANGE_URL/s,
  });
});
