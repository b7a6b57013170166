import { generateKeyPairSync } from 'node:crypto';
import { decodeJwt } from 'jose';
import t from 'tap';
import { loadConfig } from '../../src/config.ts';
import { opensAll, opensNothing } from '../support/forged.ts';
import { ecdsa, hmac, signed, signWith, startServiceWithKey, testSecret } from '../support/forger.ts';
import { listening } from '../support/listening.ts';
import { believedPerson } from '../support/person.ts';
import { startProcess } from '../support/process.ts';

t.test('access tokens under other keys', async (t) => {
  const service = await listening(await startServiceWithKey(t, { RATE_LIMIT: 'off' }));
  const { key } = service;
  const person = await believedPerson(service);
  // Of a live session, and confirmed: nothing but the signature stands between these and every guarded route.
  const claims = decodeJwt(person.token);
  const header = { alg: 'ES256', typ: 'at+jwt', kid: key.kid };

  await t.test('J03 no empty, common or configured secret signs, whatever key the token names', async (t) => {
    const secrets = [
      '',
      '\u0000',
      ' ',
      'secret',
      'changeme',
      'password',
      'your-256-bit-secret',
      'latchkey',
      'null',
      'undefined',
      '[object Object]',
      testSecret,
    ];
    const names = [
      key.kid,
      'unknown',
      '',
      undefined,
      null,
      0,
      [key.kid],
      { kid: key.kid },
      '__proto__',
      'constructor',
      'toString',
      'length',
      '0',
    ];
    const paths = ['../../../../dev/null', '/dev/null', 'file:///dev/null', `${key.kid}\u0000`, ` ${key.kid}`, `${key.kid}/../${key.kid}`];
    const injections = [
      "' or '1'='1",
      `x' union select 'secret' --`,
      `${key.kid}'; drop table signing_keys; --`,
      '%',
      '$(id)',
      '| id',
      'https://elsewhere.example/key',
    ];
    for (const kid of [...names, ...paths, ...injections, 'k'.repeat(5000)]) {
      for (const secret of kid === key.kid || kid === 'unknown' ? secrets : ['', 'secret']) {
        await opensNothing(
          t,
          service,
          signed({ ...header, alg: 'HS256', kid }, claims, hmac('sha256', secret)),
          `kid ${JSON.stringify(kid)?.slice(0, 40)}`,
        );
      }
    }
    const upper = key.kid === key.kid.toUpperCase() ? key.kid.toLowerCase() : key.kid.toUpperCase();
    for (const kid of [upper, ...names.slice(1), ...paths, ...injections]) {
      await opensNothing(t, service, await signWith(key, claims, { kid }), `the genuine key under the name ${JSON.stringify(kid)}`);
    }
    await opensAll(t, service, person.token, person.username);
  });

  await t.test('J03 a key that the token brings along, or tells where to find, is not looked at', async (t) => {
    const pair = generateKeyPairSync('ec', { namedCurve: 'P-256' });
    const jwk = pair.publicKey.export({ format: 'jwk' });
    const pem = pair.publicKey.export({ type: 'spki', format: 'pem' }).toString();
    const bare = pem.replace(/-----[A-Z ]+-----|\s/g, '');
    const asked: string[] = [];
    service.app.server.on('request', ({ url = '' }) => asked.push(url));
    const url = `${service.base}/elsewhere`;
    for (const extra of [
      {},
      { jwk },
      { jwk: { ...jwk, kid: key.kid } },
      { jku: url },
      { x5u: url },
      { x5c: [bare] },
      { x5t: bare },
      { key: pem },
      { secret: pem },
      { iss: url },
    ]) {
      for (const kid of [key.kid, 'unknown', url, undefined]) {
        await opensNothing(
          t,
          service,
          signed({ ...header, kid, ...extra }, claims, ecdsa('sha256', pair.privateKey)),
          `${Object.keys(extra)} ${kid}`,
        );
      }
    }
    t.notOk(asked.includes('/elsewhere'), 'nothing is fetched that a token names');
    const token = await signWith(key, claims, { jwk, jku: url, x5u: url });
    await opensAll(t, service, token, person.username);
    t.notOk(asked.includes('/elsewhere'));
  });
});

t.test('J03 the service does not start with a secret that is short, common or uniform', async (t) => {
  t.strictSame(loadConfig({ AUTH_SECRET: testSecret }).authSecrets, [testSecret]);
  const short = ['secret', 'changeme', 'x', testSecret.slice(0, 31), `${testSecret.slice(0, 31)}${' '.repeat(10)}`];
  const uniform = ['a'.repeat(64), '0'.repeat(32), 'secret'.repeat(8), 'changeme'.repeat(8), '1234567890'.repeat(5), 'ab'.repeat(40)];
  for (const secret of [...short, ...uniform]) {
    for (const value of [secret, `${testSecret},${secret}`, `${secret},${testSecret}`, `${testSecret},`]) {
      t.throws(() => loadConfig({ AUTH_SECRET: value }), { name: 'ConfigError', message: /AUTH_SECRET/ }, value);
    }
  }
  const { ended, output } = startProcess(t, { file: 'src/server.ts' }, { AUTH_SECRET: 'secret', PORT: '0', DATA_DIR: t.testdir() });
  t.equal((await ended()).code, 1);
  t.match(output.stderr, /AUTH_SECRET/);
  t.notMatch(output.stdout, /answers at/, 'it never listened');
});
