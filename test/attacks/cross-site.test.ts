import t, { type Test } from 'tap';
import { events, mails, revokedSessions, sessions, users } from '../../src/db/schema.ts';
import type { Answer } from '../support/client.ts';
import { cookieHeader, setCookies } from '../support/cookies.ts';
import { outboxEmpty } from '../support/held-clock.ts';
import { createHttpClient } from '../support/http.ts';
import { type Operation, publishedOperations } from '../support/operations.ts';
import { openBrowser } from '../support/pages.ts';
import { confirmedPerson, register } from '../support/person.ts';
import { refused } from '../support/refusal.ts';
import { open } from '../support/routes.ts';
import { startService } from '../support/service.ts';
import { openTables } from '../support/tables.ts';

type Headers = Readonly<Record<string, string>>;

/** What browsers say of a request that another site makes them send. */
const elsewhere: Readonly<Record<string, Headers>> = {
  'another site': { 'sec-fetch-site': 'cross-site', origin: 'https://evil.test' },
  'another host of the site': { 'sec-fetch-site': 'same-site', origin: 'https://sub.accounts.test' },
  'a sandboxed frame': { 'sec-fetch-site': 'cross-site', origin: 'null' },
  'an old browser': { origin: 'https://evil.test' },
  'an old browser that hides': {},
  'one that names our own as referrer': { referer: 'https://accounts.test/' },
  'one that says two things': { 'sec-fetch-site': 'cross-site, same-origin', origin: 'https://evil.test' },
  'a name that ends like ours': { origin: 'https://evil-accounts.test' },
  'ours over http': { origin: 'http://accounts.test' },
  'ours on another port': { origin: 'https://accounts.test:8443' },
};

/** Bodies that a page can make a browser send without asking us first (Fetch standard, CORS-safelisted types). */
const safelisted: Readonly<Record<string, readonly [type: string | undefined, body: string | undefined]>> = {
  'JSON as text': ['text/plain', '{}'],
  'JSON as text, with a charset': ['text/plain;charset=UTF-8', '{}'],
  'a form': ['application/x-www-form-urlencoded', 'a=b'],
  'a form that looks like JSON': ['application/x-www-form-urlencoded', '{"a":"=b"}'],
  'a form with files': ['multipart/form-data; boundary=x', '--x\r\ncontent-disposition: form-data; name="a"\r\n\r\nb\r\n--x--\r\n'],
  nothing: [undefined, undefined],
};

t.test('requests that another site makes a browser send', async (t) => {
  const service = await startService(t, { PUBLIC_URL: 'https://accounts.test', CORS_ORIGINS: 'https://good.test', RATE_LIMIT: 'off' });
  const client = createHttpClient(await service.listen());
  const tables = openTables(t, service);
  const person = await confirmedPerson({ ...service, ...client });
  const { email, password } = person;
  const ours = { 'sec-fetch-site': 'same-origin', origin: 'https://accounts.test' };
  const logIn = (headers: Headers) => client.post('/auth/login', { email, password, transport: 'cookie' }, { headers });
  const cookie = cookieHeader(setCookies(await logIn(ours)));
  const unsafe = (await publishedOperations(client)).filter(({ method }) => method !== 'GET');
  /** What acts for whom the cookies name. */
  const byCookie = unsafe.filter(({ name, path }) => !open.public.includes(name) || path === '/auth/refresh');

  async function everything(): Promise<string> {
    await outboxEmpty(tables);
    return JSON.stringify(await Promise.all([users, sessions, revokedSessions, mails, events].map((table) => tables.select().from(table))));
  }

  async function send(
    { method, url }: Pick<Operation, 'method' | 'url'>,
    [type, body]: readonly [string | undefined, string | undefined],
    headers: Headers,
  ) {
    return client.request(method, url, {
      ...(body !== undefined && { body }),
      headers: { cookie, ...headers, ...(type && { 'content-type': type }) },
    });
  }

  t.test('B01 none changes anything by cookie, whatever it carries and wherever it goes', async (t) => {
    t.ok(byCookie.length >= 12, `${byCookie.length} operations`);
    const before = await everything();
    for (const operation of byCookie) {
      for (const [from, headers] of Object.entries(elsewhere)) {
        for (const body of [...Object.values(safelisted), ['application/json', '{}'] as const]) {
          const answer = await send(operation, body, headers);
          t.ok([403, 415].includes(answer.status), `${operation.name} from ${from}, ${body[0]}: ${answer.status}`);
          if (answer.status === 403) t.equal(answer.body.code, 'cross_origin_rejected');
          t.notOk(answer.headers['set-cookie'] ?? answer.headers['access-control-allow-origin']);
        }
      }
    }
    t.equal(await everything(), before);
    t.equal((await client.get('/auth/me', { headers: { cookie } })).status, 200, 'the session has outlived all of it');
  });

  t.test('B01 a body that needs no preflight is not read, even from our own pages', async (t) => {
    const before = await everything();
    for (const operation of unsafe) {
      for (const [what, [type, body]] of Object.entries(safelisted)) {
        if (type === undefined) continue;
        const answer = await send(operation, [type, body], ours);
        if (!operation.name.includes('/admin/')) refused(t, answer, 415, 'unsupported_media_type', `${operation.name}: ${what}`);
      }
    }
    t.equal(await everything(), before);
  });

  t.test('B01 the forms of the pages take no word of another site for one of theirs', async (t) => {
    const newcomer = await register(client);
    const { text = '' } = await service.mailServer.mailTo(newcomer.email);
    const paths = (text.match(/https:\/\/\S+/g) ?? []).map((link) => new URL(link).pathname);
    t.equal(paths.length, 2, 'to confirm, and to disown');
    const before = await everything();
    for (const path of paths) {
      for (const headers of Object.values(elsewhere)) {
        for (const form of ['', 'proof=', `proof=${'A'.repeat(43)}`, `password=${encodeURIComponent(newcomer.password)}&proof=x`]) {
          const answer = await send({ method: 'POST', url: path }, ['application/x-www-form-urlencoded', form], headers);
          t.notOk(answer.headers['set-cookie'], 'at most the page is shown again');
        }
      }
    }
    t.equal(await everything(), before);
    const browser = openBrowser(client);
    const page = await browser.go(paths[1] as string);
    const headers = { origin: 'https://accounts.test' };
    t.equal((await browser.submit(page, {}, headers)).status, 200);
    t.not(await everything(), before, 'the form of the page itself does it');
  });

  t.test('B03 no other site logs a browser in to an account of its own', async (t) => {
    for (const [from, headers] of Object.entries(elsewhere)) {
      for (const own of [{}, { cookie }, { cookie: '__Host-access=planted' }]) {
        const answer = await logIn({ ...headers, ...own });
        refused(t, answer, 403, 'cross_origin_rejected', from);
        t.notOk(answer.headers['set-cookie']);
      }
      for (const [type] of Object.values(safelisted)) {
        if (type === undefined) continue;
        const asText = await client.post('/auth/login', JSON.stringify({ email, password, transport: 'cookie' }), {
          headers: { ...headers, 'content-type': type },
        });
        refused(t, asText, 415, 'unsupported_media_type', type);
      }
    }
    for (const headers of [ours, { 'sec-fetch-site': 'none' }, { origin: 'https://good.test', 'sec-fetch-site': 'cross-site' }]) {
      t.equal(setCookies(await logIn(headers)).length, 2);
    }
  });

  t.test('B03 nor does a link or a refresh with a token of its own', async (t) => {
    const { accessToken, refreshToken } = (await client.post('/auth/login', { email, password })).body;
    for (const headers of Object.values(elsewhere)) {
      const answer = await client.post('/auth/refresh', { refreshToken }, { headers });
      t.equal(answer.headers['set-cookie'], undefined, 'what came in a body is answered in one');
      const visited = await client.get(`/auth/me?access_token=${accessToken}`, { headers });
      t.strictSame([visited.status, visited.headers['set-cookie']], [401, undefined]);
    }
  });

  t.test('B04 with a token in a header, and no cookie, nobody is asked where they come from', async (t) => {
    for (const headers of Object.values(elsewhere)) {
      const own = await client.post('/auth/login', { email, password }, { headers });
      t.equal(own.status, 200);
      t.notOk(own.headers['set-cookie']);
      const token = own.body.accessToken;
      const renamed = await client.request('PATCH', '/auth/me', { token, headers, body: { locale: 'de' } });
      const ended = await client.post('/auth/logout', undefined, { token, headers });
      t.strictSame([renamed.status, ended.status], [200, 204]);
      for (const answer of [own, renamed, ended])
        t.notOk(answer.headers['access-control-allow-origin'], 'though no other page reads the answer');
    }
  });

  t.test('B05 no origin but those listed may read or send, and none is echoed', async (t) => {
    const { accessToken: token } = (await client.post('/auth/login', { email, password })).body;
    const others = `https://evil.test null https://sub.good.test https://good.test:8080 http://good.test https://good.test.evil.test
      https://evilgood.test https://GOOD.test https://good.test/ https://good.test. https://good.test@evil.test https://accounts.test * file://
      https://good.test%60evil.test https://xn--good.test chrome-extension://good.test`.split(/\s+/);
    for (const origin of others) {
      for (const [path, status] of [
        ['/auth/me', 200],
        ['/secret', 200],
        ['/nowhere', 404],
        ['/auth/login', 405],
        ['/openapi.json', 200],
        ['/docs', 200],
      ] as const) {
        const answer = await client.get(path, { token, headers: { origin } });
        t.equal(answer.status, status);
        assertUnreadable(t, answer, `${path} from ${origin}`);
      }
      for (const { method, url } of unsafe) assertUnreadable(t, await preflight(origin, method, url), `${method} ${url} from ${origin}`);
    }
  });

  t.test('B05 a listed origin is named itself, with credentials, and never a wildcard', async (t) => {
    const { accessToken: token } = (await client.post('/auth/login', { email, password })).body;
    const origin = 'https://good.test';
    const answers = [
      await client.get('/auth/me', { token, headers: { origin } }),
      await client.get('/auth/me', { headers: { origin } }),
      await client.get('/nowhere', { headers: { origin } }),
      await client.post('/auth/login', '{', { headers: { origin, 'content-type': 'application/json' } }),
      await preflight(origin, 'POST', '/auth/login'),
    ];
    t.strictSame(
      answers.map(({ status }) => status),
      [200, 401, 404, 400, 204],
    );
    for (const { headers } of answers) {
      t.match(headers, { 'access-control-allow-origin': origin, 'access-control-allow-credentials': 'true', vary: /\borigin\b/i });
      t.notMatch(JSON.stringify(headers), /"access-control-[^"]*":"\*"/);
    }
  });

  function preflight(origin: string, method: string, url: string): Promise<Answer> {
    const asked = { 'access-control-request-method': method, 'access-control-request-headers': 'authorization, content-type' };
    return client.request('OPTIONS', url, { headers: { origin, ...asked } });
  }
});

function assertUnreadable(t: Test, { headers }: Answer, what: string): void {
  t.equal(headers['access-control-allow-origin'], undefined, what);
  t.match(headers['vary'], /\borigin\b/i, 'no cache gives it to an origin that is listed');
}
