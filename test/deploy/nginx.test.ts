import { existsSync } from 'node:fs';
import { mkdtemp, readFile, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import t, { type Test } from 'tap';
import { noPostgres, startCluster } from '../support/cluster.ts';
import { eventually } from '../support/eventually.ts';
import { createForeignClient } from '../support/http.ts';
import { startMailServer } from '../support/mail-server.ts';
import { noNginx, runNginx } from '../support/nginx.ts';
import { confirmationPath, confirmedPerson, openSession, register } from '../support/person.ts';
import { startInstance } from '../support/service.ts';
import { startUpstream } from '../support/upstream.ts';
import { echo, openSocket } from '../support/web-socket.ts';
import { exchangeOne, requestBytes } from '../support/wire.ts';

/** Two instances, configured as in production, behind the nginx that is shipped, with nothing but its addresses replaced. */
async function startDeployment(t: Test, overrides: Readonly<Record<string, string>> = {}) {
  const [cluster, mailServer, directory] = await Promise.all([
    startCluster(t),
    startMailServer(t),
    mkdtemp(join(tmpdir(), 'latchkey-deploy-')),
  ]);
  t.teardown(() => rm(directory, { recursive: true, force: true }));
  const dataDir = join(directory, 'data');
  const env = {
    ...{ NODE_ENV: 'production', PUBLIC_URL: 'https://accounts.example.com', DATABASE_URL: cluster.url, DATA_DIR: dataDir },
    ...{ SMTP_URL: mailServer.url, MAIL_FROM: 'Latchkey <no-reply@accounts.example.com>' },
    ...{ AUTH_SECRET: 'q9Xv2LmB7cTz4RkW8sYd1NfH6gJp3KaE', TRUSTED_PROXIES: '127.0.0.1', METRICS_PORT: '0' },
    ...{ ARGON2_MEMORY_KIB: '8', ARGON2_PASSES: '1', ...overrides },
  };
  const instances = [await startInstance(t, env), await startInstance(t, env)] as const;
  const hosts = await Promise.all(instances.map(async (instance) => new URL(await instance.listen()).host));
  const asked = instances.map(() => 0);
  instances.forEach(({ app }, index) => {
    app.server.on('request', () => {
      asked[index] = (asked[index] ?? 0) + 1;
    });
  });
  const accessLog = join(directory, 'access.log');
  const example = await readFile('deploy/nginx.conf', 'utf8');
  const base = await runNginx(t, ({ port, writes }) => {
    const addresses = {
      'latchkey-1:3000': hosts[0],
      'latchkey-2:3000': hosts[1],
      '    listen 80;\n    # listen 443': `    listen 127.0.0.1:${port};\n    # listen 443`,
      '/dev/stdout': accessLog,
      '\nhttp {': `\nhttp {\n${writes}`,
    };
    return Object.entries(addresses).reduce((text, [from, to = '']) => {
      t.ok(text.includes(from), `it names ${from.trim()}`);
      return text.replaceAll(from, to);
    }, example);
  });
  const client = { ...createForeignClient(base), mailServer };
  return { client, base, instances, asked, dataDir, log: () => readFile(accessLog, 'utf8') };
}

t.test('two instances behind the nginx of deploy/', { skip: noNginx || noPostgres }, async (t) => {
  const { client, base, instances, asked, dataDir, log } = await startDeployment(t);
  // Sessions are bound to the user agent.
  const headers = { 'user-agent': 'node' };
  const person = await confirmedPerson(client);
  const { accessToken: token } = await openSession(client, person);

  t.test('share sessions, and both are asked', async (t) => {
    const before = [...asked];
    for (let index = 0; index < 10; index += 1) t.equal((await client.get('/secret', { token, headers })).status, 200);
    asked.forEach((count, index) => {
      t.ok(count - (before[index] ?? 0) >= 3, `instance ${index + 1}`);
    });
  });

  t.test('an instance that is gone is not missed', async (t) => {
    const spare = await startDeployment(t);
    const known = await confirmedPerson(spare.client);
    await spare.instances[0].app.close();
    for (let index = 0; index < 6; index += 1) {
      t.equal((await spare.client.get('/auth/me', { token: known.token, headers })).status, 200);
      const { email, password } = known;
      t.equal((await spare.client.post('/auth/login', { email, password }, { headers })).status, 200);
    }
  });

  t.test('the tab that waits is told at once, and meanwhile hears the beginning', async (t) => {
    const newcomer = await register(client);
    const { accessToken } = await openSession(client, newcomer);
    const abort = new AbortController();
    t.teardown(() => abort.abort());
    const answer = await fetch(`${base}/auth/confirm/events`, {
      headers: { ...headers, authorization: `Bearer ${accessToken}` },
      signal: abort.signal,
    });
    t.equal(answer.status, 200);
    let heard = '';
    const listening = (async () => {
      for await (const chunk of answer.body as AsyncIterable<Uint8Array>) heard += Buffer.from(chunk).toString();
    })();
    await eventually('the beginning has come through', () => heard.includes('retry:'));
    t.notOk(heard.includes('event:'));
    t.equal((await client.get(await confirmationPath(client, newcomer), { token: accessToken, headers })).status, 200);
    await eventually('the event has come through', () => heard.includes('event: confirmed'));
    await listening;
  });

  t.test('what a client says about where it comes from is not believed', async (t) => {
    const forged = { ...headers, 'x-forwarded-for': '203.0.113.7', forwarded: 'for=203.0.113.7', 'x-real-ip': '203.0.113.7' };
    t.equal((await client.post('/auth/login', { email: person.email, password: person.password }, { headers: forged })).status, 200);
    const { body } = await client.get('/auth/sessions', { token, headers });
    t.ok(body.sessions.length >= 2);
    for (const { ip } of body.sessions) t.equal(ip, '127.0.0.1');
    // Without nginx, whoever is among TRUSTED_PROXIES is believed: it is nginx that overwrites the field.
    const direct = await instances[0].post('/auth/login', { email: person.email, password: person.password }, { headers: forged });
    t.equal(direct.status, 200);
    const seen = (await client.get('/auth/sessions', { token, headers })).body.sessions.map(({ ip }: { ip: string }) => ip);
    t.ok(seen.includes('203.0.113.7'));
  });

  t.test('health and metrics are for whoever runs it, however they are spelt', async (t) => {
    t.equal((await instances[0].get('/health/ready')).status, 200, 'an instance itself answers');
    const targets = [
      ...['/health/live', '/health/ready', '/metrics', '//health/ready', '/./health/ready', '/auth/../health/ready'],
      ...['/%68ealth/ready', '/health%2fready', '/health/ready?a=1', '/health//ready', '/metrics?a=1', '/%6detrics'],
    ];
    for (const target of targets) {
      const { status, body } = await exchangeOne(base, requestBytes('GET', target, {}));
      t.equal(status, 404, target);
      t.notMatch(body, /"(?:status|database)":"ok"|^# HELP/m, target);
    }
  });

  t.test('no token is in the log', async (t) => {
    const newcomer = await register(client);
    const path = await confirmationPath(client, newcomer);
    t.equal((await client.get(path, { headers })).status, 401);
    t.equal((await client.get('/auth/me?access_token=in-the-query', { headers })).status, 401);
    await eventually('the log has the requests', async () => /GET \/auth\/me 401/.test(await log()));
    const text = await log();
    t.match(text, /^127\.0\.0\.1 GET \/auth\/confirm\/TOKEN 401 [\d.]+$/m);
    t.notMatch(text, /eyJ|in-the-query/);
  });

  t.test('the instances have written nothing: their root file system may be read-only', async (t) => {
    t.notOk(existsSync(dataDir));
  });
});

t.test('and an application behind them', { skip: noNginx || noPostgres }, async (t) => {
  const upstream = await startUpstream(t);
  const { client, base, instances } = await startDeployment(t, { UPSTREAM_URL: upstream.base });
  const person = await confirmedPerson(client);
  const { accessToken: token } = await openSession(client, person);
  const headers = { 'user-agent': 'node', authorization: `Bearer ${token}` };

  t.test('has WebSockets', async (t) => {
    const socket = await openSocket(t, base, '/live', { headers }, ['chat']);
    t.equal((await echo(socket, 'hello')).data.toString(), 'hello');
    t.match(upstream.passed.at(-1), { url: '/live', headers: { 'x-auth-user-id': person.id, 'sec-websocket-protocol': 'chat' } });
    await t.rejects(openSocket(t, base, '/live'), /refused with 401/);
  });

  t.test('has no other protocols, and connections to the instances are kept for whatever asks for none', async (t) => {
    const told: unknown[] = [];
    for (const { app } of instances) app.server.on('request', ({ headers }) => told.push(headers.connection, headers.upgrade));
    t.match(await client.get('/page', { headers }), { status: 200, body: { url: '/page' } });
    const upgrade = { ...headers, connection: 'Upgrade, HTTP2-Settings, close', upgrade: 'h2c', 'http2-settings': 'AAMAAABk' };
    t.equal((await exchangeOne(base, requestBytes('GET', '/page', upgrade))).status, 200);
    const posted = await exchangeOne(base, requestBytes('POST', '/page', upgrade, '{"a":1}'));
    t.equal(posted.status, 200);
    t.match(JSON.parse(posted.body), { method: 'POST', bodyBytes: 7 });
    t.same(told, Array(6).fill(undefined));
  });
});
