import { request } from 'node:http';
import t, { type Test } from 'tap';
import { loadConfig } from '../../src/config.ts';
import { cookieHeader, setCookies } from '../support/cookies.ts';
import { createHttpClient } from '../support/http.ts';
import { linksOf } from '../support/mail-server.ts';
import { noNginx, passTo, startNginx } from '../support/nginx.ts';
import { type Person, register } from '../support/person.ts';
import { refused } from '../support/refusal.ts';
import { type Service, startService } from '../support/service.ts';

type Headers = Readonly<Record<string, string>>;

/** What a client may say of where it is: rotated addresses, chains in front of the real one, and no addresses at all. */
const claims: readonly Headers[] = [
  ...Array.from({ length: 6 }, (_, index) => ({ 'x-forwarded-for': `203.0.113.${index + 1}` })),
  { 'x-forwarded-for': '203.0.113.1, 198.51.100.2, 192.0.2.3' },
  { 'x-forwarded-for': '203.0.113.1, 127.0.0.1' },
  { 'x-forwarded-for': '127.0.0.1, 127.0.0.1, 127.0.0.1' },
  { 'x-forwarded-for': '10.0.0.1' },
  { 'x-forwarded-for': '2001:db8::1, ::1, ::ffff:127.0.0.1' },
  { 'x-forwarded-for': 'unknown, _hidden, "[2001:db8::1]:4711"' },
  { 'x-forwarded-for': "' or 1=1 --" },
  { 'x-forwarded-for': ',,,' },
  { 'x-forwarded-for': '203.0.113.1,'.repeat(300) },
  { forwarded: 'for=203.0.113.1;by=127.0.0.1' },
  { 'x-real-ip': '203.0.113.1', 'x-client-ip': '203.0.113.1', 'true-client-ip': '203.0.113.1', 'cf-connecting-ip': '203.0.113.1' },
  { 'x-cluster-client-ip': '203.0.113.1', 'x-originating-ip': '203.0.113.1', 'x-remote-addr': '203.0.113.1' },
];

/** Logs in over a connection from an address of loopback. */
function logInFrom(base: string, localAddress: string, { email, password }: Person, headers: Headers = {}): Promise<number> {
  return new Promise((resolve, reject) => {
    const body = JSON.stringify({ email, password });
    const options = { method: 'POST', localAddress, headers: { 'content-type': 'application/json', ...headers }, agent: false };
    request(new URL('/auth/login', base), options, (answer) => answer.resume().on('end', () => resolve(answer.statusCode ?? 0)))
      .on('error', reject)
      .end(body);
  });
}

/** The addresses that the owner of an account is told that it was logged in to from. */
async function addressesOf({ get, post }: Pick<Service, 'get' | 'post'>, { email, password }: Person): Promise<(string | null)[]> {
  const { accessToken: token } = (await post('/auth/login', { email, password })).body;
  const { body } = await get('/auth/events?limit=100', { token });
  // The newest is the login from here.
  return body.events
    .filter(({ type }: { type: string }) => type === 'logged_in')
    .slice(1)
    .map(({ ip }: { ip: string }) => ip);
}

async function assertSeen(t: Test, service: Service, base: string, peer: string, expected: string): Promise<void> {
  const person = await register(service);
  for (const headers of claims) t.equal(await logInFrom(base, peer, person, headers), 200);
  t.strictSame([...new Set(await addressesOf(service, person))], [expected]);
}

async function start(t: Test, overrides: Headers = {}): Promise<Service & { base: string }> {
  const service = await startService(t, { RATE_LIMIT: 'off', ...overrides });
  return { ...service, base: await service.listen() };
}

t.test('where no proxy is trusted', async (t) => {
  const service = await start(t);

  t.test('H01 who connects directly is who connects, whatever is said', async (t) => {
    for (const peer of ['127.0.0.1', '127.0.0.7']) await assertSeen(t, service, service.base, peer, peer);
  });

  t.test('H01 nginx is only itself', { skip: noNginx }, async (t) => {
    const base = await startNginx(t, `location / {${passTo(service.base)}\n    }`);
    await assertSeen(t, service, base, '127.0.0.7', '127.0.0.1');
  });

  t.test('H01 a session is bound to the real peer, not to what is said of it', async (t) => {
    const client = createHttpClient(service.base);
    const { email, password } = await register(service);
    const said = { headers: { 'x-forwarded-for': '203.0.113.1' } };
    const { accessToken: token } = (await client.post('/auth/login', { email, password }, said)).body;
    t.equal((await client.get('/auth/me', { token })).status, 200, 'said once, and not again');
    const [session] = (await client.get('/auth/sessions', { token, headers: { 'x-forwarded-for': '203.0.113.2' } })).body.sessions;
    t.equal(session.ip, '127.0.0.1');
  });
});

t.test('H01 networks that are trusted elsewhere change nothing for who connects directly', async (t) => {
  const service = await start(t, { TRUSTED_PROXIES: '10.0.0.0/8, 203.0.113.0/24, 2001:db8::/32' });
  await assertSeen(t, service, service.base, '127.0.0.1', '127.0.0.1');
});

t.test('where nginx is trusted', async (t) => {
  const service = await start(t, { TRUSTED_PROXIES: '127.0.0.1/32' });

  t.test('H01 it tells who its peer is, whatever the peer has put in front', { skip: noNginx }, async (t) => {
    const base = await startNginx(t, `location / {${passTo(service.base)}\n    }`);
    for (const peer of ['127.0.0.7', '127.0.0.9']) await assertSeen(t, service, base, peer, peer);
  });

  t.test('H01 nobody else speaks for another', async (t) => {
    await assertSeen(t, service, service.base, '127.0.0.7', '127.0.0.7');
    const person = await register(service);
    await logInFrom(service.base, '127.0.0.1', person, { 'x-forwarded-for': '192.0.2.99, 198.51.100.7' });
    t.strictSame(await addressesOf(service, person), ['198.51.100.7'], 'and it speaks for its own peer, no further');
  });
});

t.test('H01 only networks are trusted, never a number of hops, nor everybody by a word', async (t) => {
  for (const trusted of [
    '1',
    'true',
    '*',
    'all',
    'loopback',
    'proxy.example.com',
    '10.0.0.0/33',
    '10.0.0.0/8;10.1.0.0/16',
    '0.0.0.0/0',
    '10.0.0.0/8, ::/0',
    '::ffff:0:0/96',
    '::ffff:128.0.0.0/97',
    '::ffff:10.0.0.0/103',
    '::/8',
    '0.0.0.0/1',
    '2000::/3',
    '10.0.0.0/00',
  ]) {
    t.throws(() => loadConfig({ TRUSTED_PROXIES: trusted }), { message: /TRUSTED_PROXIES/ }, trusted);
  }
  const narrow = ['fc00::/7', '2001:db8::/32', '::ffff:10.0.0.0/104', '2001:db8::1'];
  t.strictSame(loadConfig({ TRUSTED_PROXIES: narrow.join() }).server.trustedProxies, narrow);
  t.strictSame(loadConfig({ TRUSTED_PROXIES: '10.0.0.0/8, 192.0.2.1/32' }).server.trustedProxies, ['10.0.0.0/8', '192.0.2.1/32']);
});

/** All that a proxy might say of how a client came. */
const insecure: readonly Headers[] = [
  { 'x-forwarded-proto': 'http' },
  { 'x-forwarded-proto': 'http,https', 'x-forwarded-port': '80' },
  { 'x-forwarded-scheme': 'http', 'x-forwarded-ssl': 'off', 'front-end-https': 'off', 'x-url-scheme': 'http' },
  { forwarded: 'for=192.0.2.1;proto=http;host=accounts.example.com' },
  { 'x-forwarded-host': 'accounts.example.com:80', 'x-forwarded-proto': 'ws' },
];

t.test('on https, behind a proxy that is trusted', async (t) => {
  const service = await start(t, { PUBLIC_URL: 'https://accounts.example.com', TRUSTED_PROXIES: '127.0.0.1/32' });
  const client = createHttpClient(service.base);

  t.test('H03 nothing becomes plain by what is said of how a client came', async (t) => {
    for (const said of insecure) {
      const headers = { ...said, 'sec-fetch-site': 'same-origin' };
      const { email, password } = await register({ post: (url, body) => client.post(url, body, { headers }) });
      const login = await client.post('/auth/login', { email, password, transport: 'cookie' }, { headers });
      const refresh = await client.post('/auth/refresh', undefined, { headers: { ...headers, cookie: cookieHeader(setCookies(login)) } });
      const logout = await client.post('/auth/logout', undefined, { headers: { ...headers, cookie: cookieHeader(setCookies(refresh)) } });
      t.strictSame([login.status, refresh.status, logout.status], [200, 200, 204]);
      for (const answer of [login, refresh, logout]) assertSecure(t, answer);
      const links = linksOf(await service.mailServer.mailTo(email));
      t.ok(links.length > 0 && links.every((link) => link.startsWith('https://accounts.example.com/')), 'the links of the mail');
      const page = await client.get('/auth/confirm/x', { headers: { ...said, accept: 'text/html' } });
      t.notMatch(page.text, /http:/, 'a page');
      t.ok(page.headers['strict-transport-security']);
      const { servers } = (await client.get('/openapi.json', { headers: said })).body;
      t.strictSame([servers.length, servers[0].url], [1, 'https://accounts.example.com']);
    }
  });

  t.test('H03 our own origin over http is another one', async (t) => {
    const { email, password } = await register(service);
    const logIn = (headers: Headers) => client.post('/auth/login', { email, password, transport: 'cookie' }, { headers });
    for (const said of insecure) {
      refused(t, await logIn({ ...said, origin: 'http://accounts.example.com' }), 403, 'cross_origin_rejected');
      t.equal((await logIn({ ...said, origin: 'https://accounts.example.com' })).status, 200);
    }
  });
});

function assertSecure(t: Test, answer: Parameters<typeof setCookies>[0]): void {
  const cookies = setCookies(answer);
  t.strictSame(
    cookies.map(({ name }) => name),
    ['__Host-access', '__Host-refresh'],
  );
  for (const { attributes } of cookies) t.match(attributes, { Secure: '', HttpOnly: '', SameSite: 'Lax', Path: '/', Domain: undefined });
  t.match(answer.headers['strict-transport-security'], /^max-age=\d{8,}/);
}
