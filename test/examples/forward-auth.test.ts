import { readFile } from 'node:fs/promises';
import t, { type Test } from 'tap';
import { startApplication } from '../support/application.ts';
import { createForeignClient } from '../support/http.ts';
import { noNginx, runNginx } from '../support/nginx.ts';
import { confirmationPath, confirmedPerson, logIn, register } from '../support/person.ts';
import { startService } from '../support/service.ts';
import { exchangeOne, requestBytes } from '../support/wire.ts';

const loginUrl = 'https://app.test/login?from=proxy';
const browser = { accept: 'text/html,application/xhtml+xml,application/xml;q=0.9,*/*;q=0.8' };

const ours = ['X-Auth-User-Id', 'X-Auth-Username', 'X-Auth-Email', 'X-Auth-Role'];
const names = [...ours, 'X-Auth-User', 'X-User-Id', 'X-Forwarded-User', 'X-Remote-User', 'Remote-User'];
/** Some applications read a hyphen and an underscore alike. */
const spellings = names.flatMap((name) => [name, name.toLowerCase(), name.replaceAll('-', '_'), name.replace(/-(?=[^-]*$)/, '_')]);

/** The configuration that is shipped, with nothing but its addresses replaced. */
async function startExample(t: Test, overrides: Readonly<Record<string, string>> = {}) {
  const service = await startService(t, { RATE_LIMIT: 'off', TRUSTED_PROXIES: '127.0.0.1/32', LOGIN_URL: loginUrl, ...overrides });
  const application = await startApplication(t);
  const replaced = { '127.0.0.1:3000': new URL(await service.listen()).host, '127.0.0.1:8080': new URL(application.base).host };
  const example = await readFile('examples/forward-auth/nginx.conf', 'utf8');
  const base = await runNginx(t, ({ port, writes }) => {
    const addresses = { ...replaced, 'listen 80;': `listen 127.0.0.1:${port};`, '\nhttp {': `\nhttp {\n${writes}` };
    return Object.entries(addresses).reduce((text, [from, to]) => {
      t.ok(text.includes(from), `it names ${from.trim()}`);
      return text.replaceAll(from, to);
    }, example);
  });
  return { service: { ...service, ...createForeignClient(base) }, base, application };
}

t.test('the example for nginx', { skip: noNginx }, async (t) => {
  const { service, base, application } = await startExample(t);
  const person = await confirmedPerson(service);
  const unconfirmed = await logIn(service, await register(service));

  /** Where a browser is sent that asks for a target, written as it is. */
  async function sentTo(t: Test, target: string, { method = 'GET', ...headers }: Readonly<Record<string, string>> = {}) {
    const answer = await exchangeOne(base, requestBytes(method, target, { ...browser, ...headers }));
    t.equal(answer.status, 303, target);
    const url = new URL(answer.headers['location'] ?? '');
    t.equal(url.origin + url.pathname, 'https://app.test/login', target);
    t.equal(url.searchParams.get('from'), 'proxy', 'what LOGIN_URL has in its query stays there');
    t.equal(answer.headers['cache-control'], 'no-store');
    return url.searchParams.get('next');
  }

  t.test('an API client without a session gets 401, and is sent nowhere', async (t) => {
    for (const headers of [{}, { accept: 'application/json' }, { accept: '*/*' }] as Record<string, string>[]) {
      const answer = await service.get('/page?a=1', { headers });
      t.equal(answer.status, 401);
      t.equal(answer.headers['location'], undefined);
      t.match(answer.headers['www-authenticate'], /^Bearer/);
    }
  });

  t.test('a browser without a session is sent to LOGIN_URL, and told the way back', async (t) => {
    t.equal(await sentTo(t, '/page?a=1'), '/page?a=1');
    t.equal(await sentTo(t, '/'), '/');
    t.equal(await sentTo(t, '/a%20b/%C3%BC?q=%2F%2Fx&next=https://evil.test'), '/a%20b/%C3%BC?q=%2F%2Fx&next=https://evil.test');
    t.equal(await sentTo(t, '/page', { authorization: 'Bearer garbage' }), '/page');
    t.equal(await sentTo(t, '/page', { method: 'POST' }), null, 'what was posted cannot be asked for again');
    t.equal(await sentTo(t, '/page', { method: 'DELETE' }), null);
  });

  t.test('no address leads back to elsewhere', async (t) => {
    const hostile = [
      '//evil.test',
      '///evil.test/',
      '/\\evil.test',
      '/\\/evil.test',
      '/%2f%2fevil.test',
      '/%2F/evil.test',
      '/%5cevil.test',
      '/%252f%252fevil.test',
      '/%09/evil.test',
      '/.//evil.test',
      '/%2e//evil.test',
      '/page/..//evil.test',
      'https://evil.test/',
      `/${'a'.repeat(2048)}`,
    ];
    for (const target of hostile) {
      const next = await sentTo(t, target);
      t.ok(next === null || next === '/', `${target.slice(0, 30)}: ${next}`);
    }
  });

  t.test('what a client says about the address is not listened to', async (t) => {
    const lies = { 'x-original-uri': '/lie', 'x-forwarded-uri': '/lie', 'x-original-method': 'DELETE', 'x-forwarded-method': 'DELETE' };
    for (const [name, value] of Object.entries(lies)) t.equal(await sentTo(t, '/page', { [name]: value }), '/page', name);
    t.equal(await sentTo(t, '/page', { 'x-forwarded-for': '203.0.113.1' }), '/page');
  });

  t.test('the question cannot be asked from outside, and the rest of the service is there', async (t) => {
    t.equal((await service.get('/auth/verify', person)).status, 404);
    t.equal((await service.get('/auth/me', person)).status, 200);
  });

  t.test('a confirmed user passes, with the true identity', async (t) => {
    const { status, body } = await service.get('/page?a=1', { token: person.token, headers: browser });
    t.equal(status, 200);
    t.match(body, { url: '/page?a=1', headers: identityOf(person) });
  });

  t.test('an unconfirmed user gets 403, browser or not, until the address is confirmed', async (t) => {
    const newcomer = await register(service);
    const token = await logIn(service, newcomer);
    for (const headers of [browser, {}] as Record<string, string>[]) {
      const answer = await service.get('/page', { token, headers });
      t.equal(answer.status, 403);
      t.equal(answer.headers['location'], undefined);
    }
    await service.get(await confirmationPath(service, newcomer), { token });
    t.equal((await service.get('/page', { token })).status, 200);
  });

  t.test('what a client says about itself never reaches the application', async (t) => {
    const before = application.passed.length;
    const lies = spellings.flatMap((name) => [`${name}: admin\r\n`, `${name}: admin\r\n${name.toUpperCase()}: admin\r\n`]);
    for (const lie of lies) {
      const withLie = (fields: Record<string, string>) => requestBytes('GET', '/page', fields).replace('\r\n\r\n', `\r\n${lie}\r\n`);
      const passes = await exchangeOne(base, withLie({ authorization: `Bearer ${person.token}`, 'user-agent': 'node' }));
      t.equal(passes.status, 200, lie.trim());
      t.equal((await exchangeOne(base, withLie({}))).status, 401);
      t.equal((await exchangeOne(base, withLie({ authorization: `Bearer ${unconfirmed}`, 'user-agent': 'node' }))).status, 403);
    }
    const passed = application.passed.slice(before);
    t.equal(passed.length, lies.length, 'it has heard of nobody else');
    for (const { headers, rawHeaders } of passed) {
      t.match(headers, identityOf(person));
      t.equal(rawHeaders.filter((text) => /^x[-_]auth/i.test(text)).length, 4, 'each is told once');
      t.notOk(rawHeaders.includes('admin'));
    }
  });
});

t.test('the example for nginx, without LOGIN_URL, sends nobody anywhere', { skip: noNginx }, async (t) => {
  const { service } = await startExample(t, { LOGIN_URL: '' });
  const answer = await service.get('/page', { headers: browser });
  t.equal(answer.status, 401);
  t.equal(answer.headers['location'], undefined);
});

t.test('every example drops what only the service may say, and sets it from the answer', async (t) => {
  for (const file of ['nginx.conf', 'Caddyfile', 'traefik.yml', 'envoy.yaml']) {
    const example = (await readFile(`examples/forward-auth/${file}`, 'utf8')).toLowerCase();
    for (const name of names) t.match(example, new RegExp(`${name.toLowerCase()}(?![-\\w])`), `${file}: ${name}`);
    t.match(example, '/auth/verify');
  }
});

function identityOf({ id, username, email }: { id: string; username: string; email: string }) {
  return { 'x-auth-user-id': id, 'x-auth-username': username, 'x-auth-email': email, 'x-auth-role': 'user' };
}
