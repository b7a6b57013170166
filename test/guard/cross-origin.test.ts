import t, { type Test } from 'tap';
import { events, mails, revokedSessions, sessions, users } from '../../src/db/schema.ts';
import type { Answer } from '../support/client.ts';
import { setCookies } from '../support/cookies.ts';
import { outboxEmpty } from '../support/held-clock.ts';
import { confirmationToken, type Person, register } from '../support/person.ts';
import { refused } from '../support/refusal.ts';
import { startService } from '../support/service.ts';
import { openTables } from '../support/tables.ts';

/** An unconfirmed person with a session in a browser, and another elsewhere. */
interface Situation {
  readonly person: Person;
  readonly accessToken: string;
  readonly refreshToken: string;
  readonly elsewhere: string;
  readonly linkToken: string;
}

interface Sent {
  readonly method: 'POST' | 'DELETE';
  readonly url: string;
  readonly success: number;
  readonly body?: (situation: Situation) => object;
  /** What an application without cookies sends in its place. */
  readonly bodyWithoutCookies?: (situation: Situation) => object;
}

const login = ({ person: { email, password } }: Situation, transport: string) => ({ email, password, transport });

/** Every request that changes something for whom a cookie names, or that sets the cookies. */
const cookieBorne: Readonly<Record<string, Sent>> = {
  login: {
    method: 'POST',
    url: '/auth/login',
    success: 200,
    body: (situation) => login(situation, 'cookie'),
    bodyWithoutCookies: (situation) => login(situation, 'bearer'),
  },
  refresh: {
    method: 'POST',
    url: '/auth/refresh',
    success: 200,
    bodyWithoutCookies: ({ refreshToken }) => ({ refreshToken }),
  },
  logout: { method: 'POST', url: '/auth/logout', success: 204 },
  'the end of one session': { method: 'DELETE', url: '/auth/sessions/:elsewhere', success: 204 },
  'the end of all others': { method: 'DELETE', url: '/auth/sessions', success: 204 },
  'another mail': { method: 'POST', url: '/auth/confirm/resend', success: 202 },
  confirmation: { method: 'POST', url: '/auth/confirm', success: 200, body: ({ linkToken }) => ({ token: linkToken }) },
};

const refusedOrigins = {
  'another site': { 'sec-fetch-site': 'cross-site', origin: 'https://evil.test' },
  'another host of the domain': { 'sec-fetch-site': 'same-site', origin: 'http://other.localhost:3000' },
  'another site that hides': { 'sec-fetch-site': 'cross-site' },
  'another host that hides': { 'sec-fetch-site': 'same-site' },
  'a sandboxed frame': { origin: 'null' },
  'an old browser on another site': { origin: 'https://evil.test' },
  'a name that begins like ours': { origin: 'http://localhost:3000.evil.test' },
  'another port': { origin: 'http://localhost:3001' },
  'another scheme': { origin: 'https://localhost:3000' },
  'two origins': { origin: 'http://localhost:3000, https://evil.test' },
  'a host below one that is listed': { origin: 'https://sub.good.test' },
  'another port of one that is listed': { origin: 'https://good.test:8080' },
  'a referrer': { referer: 'http://localhost:3000/' },
  nothing: {},
} satisfies Record<string, Readonly<Record<string, string>>>;

const allowedOrigins = {
  'our own pages': { 'sec-fetch-site': 'same-origin' },
  'the user': { 'sec-fetch-site': 'none' },
  'our own origin': { origin: 'http://localhost:3000' },
  'a listed origin': { 'sec-fetch-site': 'cross-site', origin: 'https://good.test' },
  'a listed origin in an old browser': { origin: 'http://localhost:5173' },
} satisfies Record<string, Readonly<Record<string, string>>>;

t.test('requests from other origins', async (t) => {
  const service = await startService(t, { CORS_ORIGINS: 'https://good.test,http://localhost:5173', RATE_LIMIT: 'off' });
  const tables = openTables(t, service);

  async function prepare(): Promise<Situation> {
    const person = await register(service);
    const { email, password } = person;
    const [here, elsewhere] = [
      await service.post('/auth/login', { email, password }),
      await service.post('/auth/login', { email, password }),
    ];
    const { accessToken, refreshToken } = here.body;
    return { person, accessToken, refreshToken, elsewhere: elsewhere.body.session.id, linkToken: await confirmationToken(service, person) };
  }

  function send({ method, url, body }: Sent, situation: Situation, headers: Readonly<Record<string, string>>): Promise<Answer> {
    const path = url.replace(':elsewhere', situation.elsewhere);
    return service.request(method, path, { headers, ...(body && { body: body(situation) }) });
  }
  const cookieOf = ({ accessToken, refreshToken }: Situation) => `access=${accessToken}; refresh=${refreshToken}`;

  async function everything(): Promise<string> {
    await outboxEmpty(tables);
    return JSON.stringify(await Promise.all([users, sessions, revokedSessions, mails, events].map((table) => tables.select().from(table))));
  }

  for (const [what, sent] of Object.entries(cookieBorne)) {
    t.test(`B01, B03: ${what} by cookie is refused to other origins, and changes nothing`, async (t) => {
      const situation = await prepare();
      const before = await everything();
      for (const [from, headers] of Object.entries(refusedOrigins)) {
        const answer = await send(sent, situation, { cookie: cookieOf(situation), ...headers });
        refused(t, answer, 403, 'cross_origin_rejected', from);
        t.notOk(answer.headers['set-cookie']);
      }
      t.equal(await everything(), before);
      for (const [from, headers] of Object.entries(allowedOrigins)) {
        const fresh = await prepare();
        t.equal((await send(sent, fresh, { cookie: cookieOf(fresh), ...headers })).status, sent.success, from);
      }
    });

    t.test(`B04: ${what} without cookies is not asked where it comes from`, async (t) => {
      const withoutCookies = { ...sent, body: sent.bodyWithoutCookies ?? sent.body };
      for (const headers of [refusedOrigins['another site'], refusedOrigins.nothing]) {
        const situation = await prepare();
        const answer = await send(withoutCookies as Sent, situation, { authorization: `Bearer ${situation.accessToken}`, ...headers });
        t.equal(answer.status, sent.success);
        t.notOk(answer.headers['access-control-allow-origin'], 'but no script of that origin reads the answer');
      }
    });
  }

  t.test('a login by cookie is asked where it comes from even when the browser has no cookies yet', async (t) => {
    const situation = await prepare();
    const sent = cookieBorne['login'] as Sent;
    refused(t, await send(sent, situation, refusedOrigins['another site']), 403, 'cross_origin_rejected');
    t.equal(setCookies(await send(sent, situation, allowedOrigins['our own pages'])).length, 2);
  });

  t.test('confirmation with the password takes nothing from a cookie', async (t) => {
    const situation = await prepare();
    const sent = {
      ...(cookieBorne['confirmation'] as Sent),
      body: () => ({ token: situation.linkToken, password: situation.person.password }),
    };
    t.equal((await send(sent, situation, { cookie: cookieOf(situation), ...refusedOrigins.nothing })).status, 200);
  });

  t.test('reading by cookie is open to all, since no other origin gets to see the answer', async (t) => {
    const situation = await prepare();
    for (const headers of Object.values(refusedOrigins)) {
      const answer = await service.get('/auth/me', { headers: { cookie: cookieOf(situation), ...headers } });
      t.equal(answer.status, 200);
      t.notOk(answer.headers['access-control-allow-origin']);
    }
  });

  t.test('bodies that a form or a script of another site can send without asking are refused', async (t) => {
    const situation = await prepare();
    const before = await everything();
    const { email, password } = situation.person;
    const text = JSON.stringify({ email, password, transport: 'cookie' });
    const headers = (type: string) => ({
      headers: { cookie: cookieOf(situation), 'content-type': type, ...allowedOrigins['a listed origin'] },
    });
    for (const type of ['text/plain', 'text/plain;charset=UTF-8', 'application/x-www-form-urlencoded', 'multipart/form-data; boundary=x']) {
      for (const url of ['/auth/login', '/auth/refresh', '/auth/logout', '/auth/confirm', '/auth/confirm/resend']) {
        refused(t, await service.post(url, text, headers(type)), 415, 'unsupported_media_type', `${type} to ${url}`);
      }
    }
    t.equal(await everything(), before);
    t.equal((await service.post('/auth/login', text, headers('application/json'))).status, 200);
  });

  t.test('B05: what is answered to a listed origin may be read by it, whatever it is', async (t) => {
    const { accessToken } = await prepare();
    const asks = {
      success: ['/auth/me', 200, accessToken],
      'no session': ['/auth/me', 401, undefined],
      unconfirmed: ['/secret', 403, accessToken],
      'no such thing': ['/problems/nothing', 404, accessToken],
      'another method': ['/auth/login', 405, accessToken],
    } as const;
    for (const origin of ['https://good.test', 'http://localhost:5173']) {
      for (const [what, [url, status, token]] of Object.entries(asks)) {
        const answer = await service.get(url, { headers: { origin }, ...(token !== undefined && { token }) });
        t.equal(answer.status, status, what);
        assertReadable(t, answer, origin);
        t.match(answer.headers['access-control-expose-headers'], /retry-after/i);
      }
      const malformed = await service.post('/auth/login', '{', { headers: { origin, 'content-type': 'application/json' } });
      refused(t, malformed, 400, 'malformed_request');
      assertReadable(t, malformed, origin);
    }
  });

  t.test('B05: a listed origin may send what an application has to send', async (t) => {
    for (const [method, url] of [
      ['POST', '/auth/login'],
      ['DELETE', '/auth/sessions'],
      ['GET', '/auth/me'],
    ] as const) {
      const answer = await preflight('https://good.test', method, url);
      t.equal(answer.status, 204);
      assertReadable(t, answer, 'https://good.test');
      t.ok(answer.headers['access-control-allow-methods']?.split(/, ?/).includes(method), method);
      t.match(answer.headers['access-control-allow-headers'], /authorization/);
      t.match(answer.headers['access-control-allow-headers'], /content-type/);
    }
  });

  t.test('B05: no other origin reads or sends anything, and none is echoed', async (t) => {
    const { accessToken } = await prepare();
    for (const origin of [
      'https://evil.test',
      'null',
      'https://sub.good.test',
      'https://good.test:8080',
      'http://good.test',
      'https://good.test.evil.test',
      'https://GOOD.test',
      'https://good.test/',
      'https://good.test, https://evil.test',
      '*',
    ]) {
      for (const answer of [
        await service.get('/auth/me', { token: accessToken, headers: { origin } }),
        await service.get('/auth/me', { headers: { origin } }),
        await preflight(origin, 'POST', '/auth/login'),
      ]) {
        assertUnreadable(t, answer, origin);
        t.match(answer.headers['vary'], /\borigin\b/i, 'no cache gives it to an origin that is listed');
      }
    }
  });

  t.test('B05: refusals of the router are read by listed origins, like all others, and by no other', async (t) => {
    const [bad, unknown] = ['/%zz', '/nothing'];
    const ask = async (url: string, origin: string) => (await service.get(url, { headers: { origin } })).headers;
    const cors = (headers: Answer['headers']) => Object.entries(headers).filter(([name]) => /^access-control-|^vary$/.test(name));
    for (const origin of ['https://good.test', 'https://evil.test']) {
      t.strictSame(cors(await ask(bad, origin)).toSorted(), cors(await ask(unknown, origin)).toSorted(), origin);
    }
    t.match(await ask(bad, 'https://good.test'), { 'access-control-allow-origin': 'https://good.test' });
  });

  function preflight(origin: string, method: string, url: string, from: Pick<typeof service, 'request'> = service): Promise<Answer> {
    const asked = { 'access-control-request-method': method, 'access-control-request-headers': 'authorization, content-type' };
    return from.request('OPTIONS', url, { headers: { origin, ...asked } });
  }

  t.test('with CORS_ORIGINS an unknown route is as unknown as without', async (t) => {
    const headers = { origin: 'https://good.test' };
    refused(t, await service.get('/nothing/here', { headers }), 404, 'not_found');
    refused(t, await service.request('OPTIONS', '/nothing/here'), 404, 'not_found', 'OPTIONS that is no preflight');
    refused(t, await service.request('OPTIONS', '/auth/login'), 405, 'method_not_allowed', 'OPTIONS that is no preflight');
  });

  t.test('B05: without CORS_ORIGINS no other origin reads or sends anything', async (t) => {
    const alone = await startService(t);
    for (const origin of ['https://good.test', 'http://localhost:3000', 'null']) {
      assertUnreadable(t, await alone.get('/', { headers: { origin } }), origin);
      assertUnreadable(t, await preflight(origin, 'POST', '/auth/login', alone), origin);
      const { headers } = await alone.get('/%zz', { headers: { origin } });
      t.notOk(Object.keys(headers).some((name) => name.startsWith('access-control-') || name === 'vary'));
    }
  });
});

function assertReadable(t: Test, { headers }: Answer, origin: string): void {
  t.match(headers, { 'access-control-allow-origin': origin, 'access-control-allow-credentials': 'true', vary: /\borigin\b/i });
}

function assertUnreadable(t: Test, { headers }: Answer, origin: string): void {
  t.notOk(headers['access-control-allow-origin'], origin);
}
