import t, { type Test } from 'tap';
import type { Answer } from '../support/client.ts';
import { createHttpClient } from '../support/http.ts';
import { type Operation, publishedOperations, withSamples } from '../support/operations.ts';
import { confirmedPerson, logIn } from '../support/person.ts';
import { refused } from '../support/refusal.ts';
import { answerHead, formPaths, open } from '../support/routes.ts';
import { startService } from '../support/service.ts';
import { inviteVisitors } from '../support/visitors.ts';
import { assertProblem, exchangeOne, requestBytes } from '../support/wire.ts';

/** Methods that Node's parser lets through; not CONNECT, which gets no answer. */
const allMethods =
  'GET HEAD POST PUT PATCH DELETE OPTIONS TRACE QUERY PROPFIND PROPPATCH MKCOL COPY MOVE LOCK UNLOCK SEARCH REPORT PURGE LINK';
const stream = 'GET /auth/confirm/events';
/** What no route accepts, so that whoever is let in changes nothing. */
const uselessBody = { unheardOf: true };

t.test('the guard, over real connections', async (t) => {
  const service = await startService(t, { RATE_LIMIT: 'off' });
  const base = await service.listen();
  const client = createHttpClient(base);
  const visitors = await inviteVisitors({ ...service, ...client });
  const operations = await publishedOperations(client);
  const listed = ({ name }: Operation, ...lists: (keyof typeof open)[]) => lists.some((list) => open[list].includes(name));
  const closed = operations.filter((operation) => !listed(operation, 'public', 'visitor') && operation.path !== '/auth/verify');

  const visit = ({ method, url }: Pick<Operation, 'method' | 'url'>, headers: Readonly<Record<string, string>> = {}) =>
    client.request(method, url, { headers, ...(!['GET', 'HEAD'].includes(method) && { body: uselessBody }) });

  t.test('G01 without a session nothing answers but the public list', async (t) => {
    t.ok(closed.length > 15 && operations.length > closed.length + 15, 'the document names routes of either kind');
    for (const operation of operations) {
      const answer = await visit(operation);
      if (closed.includes(operation)) assertClosed(t, answer, operation.name);
      else if (operation.path !== '/auth/verify')
        t.notOk([401, 403].includes(answer.status), `${operation.name} lets in: ${answer.status}`);
    }
    assertClosed(t, await client.get('/auth/verify'), 'the gateway');
  });

  t.test('G01 no other method opens a path', async (t) => {
    const paths = [...new Set(operations.map(({ path }) => path)), ...formPaths.filter((path) => /resend|logout/.test(path))];
    for (const path of paths) {
      const own = operations.filter((operation) => operation.path === path).map(({ method }) => method as string);
      if (answerHead.includes(path)) own.push('HEAD');
      if (formPaths.includes(path)) own.push('POST');
      for (const method of allMethods.split(' ').filter((each) => !own.includes(each))) {
        const { status, headers } = await exchangeOne(base, requestBytes(method, withSamples(path)));
        t.ok(status === 405 || status === 404, `${method} ${path}: ${status}`);
        t.match(headers['content-type'], /^application\/problem\+json/);
      }
    }
  });

  t.test('G01 nothing that is presented instead of a live session opens a closed route', async (t) => {
    const [head, claims, signature] = visitors.confirmed.split('.');
    const none = Buffer.from('{"alg":"none","typ":"at+jwt"}').toString('base64url');
    const presented: Record<string, Readonly<Record<string, string>>> = {
      'of a disabled account': { authorization: `Bearer ${visitors.disabled}` },
      'that was logged out': { authorization: `Bearer ${visitors.loggedOut}` },
      'of a deleted account': { authorization: `Bearer ${visitors.deleted}` },
      'that nobody signed': { authorization: `Bearer ${none}.${claims}.` },
      'without its signature': { authorization: `Bearer ${head}.${claims}.` },
      'with the claims of another': { authorization: `Bearer ${head}.${visitors.unconfirmed.split('.')[1]}.${signature}` },
      'in another scheme': { authorization: `Token ${visitors.confirmed}` },
      'in another cookie': { cookie: `session=${visitors.confirmed}; refresh=${visitors.confirmed}` },
      'in another header': { 'x-access-token': visitors.confirmed, 'x-auth-user-id': 'any', 'x-auth-role': 'admin' },
    };
    for (const [what, headers] of Object.entries(presented)) {
      for (const operation of closed) assertClosed(t, await visit(operation, headers), `${operation.name}, with a token ${what}`);
    }
    t.equal((await client.get(`/secret?access_token=${visitors.confirmed}`)).status, 401, 'nor in the query');
    t.equal((await client.get('/secret', { token: visitors.confirmed })).status, 200);
  });

  t.test('G01 the guard is asked before a body is looked at', async (t) => {
    const bodies: Record<string, [string, string]> = {
      'no JSON': ['{', 'application/json'],
      'another type': ['a=b', 'text/plain'],
      'one that is too large': [`{"a":"${'a'.repeat(20_000)}"}`, 'application/json'],
    };
    for (const [what, [body, type]] of Object.entries(bodies)) {
      for (const { method, url, name } of closed.filter(({ method }) => !['GET', 'HEAD'].includes(method))) {
        const answer = await client.request(method, url, { body, headers: { 'content-type': type } });
        assertClosed(t, answer, `${name}, with ${what}`);
      }
    }
  });

  t.test('G01 no spelling of a path opens a closed route', async (t) => {
    const spellings =
      '/secret/ //secret /./secret /x/../secret /x/%2e%2e/secret /SECRET /secret;x /secret;/health/live /secret%20 /secret. /secret%2f /secret%3f /secret%23 /secret/. /health/live/../../secret /health%2flive%2f..%2f..%2fsecret /%2573ecret /secret%c0%af \\secret /secret#';
    for (const target of spellings.split(' ')) {
      const { status } = await exchangeOne(base, requestBytes('GET', target));
      t.ok([400, 401, 404].includes(status), `${target}: ${status}`);
    }
    for (const target of ['/secret', '/secret?', '/secret?x=/health/live', '/%73ecret', '/%73%65%63%72%65%74', 'http://evil.test/secret']) {
      const fields = { 'user-agent': 'node', authorization: `Bearer ${visitors.confirmed}` };
      assertProblem(t, await exchangeOne(base, requestBytes('GET', target)), { status: 401, code: 'unauthenticated' });
      t.equal((await exchangeOne(base, requestBytes('GET', target, fields))).status, 200, `${target} is another spelling of it`);
    }
  });

  t.test('G02 an unconfirmed session opens what is public or for sessions, and nothing else', async (t) => {
    for (const headers of [
      { authorization: `Bearer ${visitors.unconfirmed}` },
      { cookie: `access=${visitors.unconfirmed}`, origin: 'http://localhost:3000' },
    ]) {
      for (const operation of operations.filter(({ name }) => name !== stream)) {
        const answer = await visit(operation, headers);
        if (listed(operation, 'public', 'session')) t.notOk([401, 403].includes(answer.status), `${operation.name}: ${answer.status}`);
        else {
          refused(t, answer, 403, 'unconfirmed', operation.name);
          t.strictSame(answer.body.resend, { method: 'POST', href: '/auth/confirm/resend' });
        }
      }
      const waiting = await fetch(new URL('/auth/confirm/events', base), { headers });
      t.equal(waiting.status, 200, stream);
      await waiting.body?.cancel();
    }
    t.equal((await client.get('/auth/me', { token: visitors.unconfirmed })).body.user.confirmed, false);
  });

  t.test('G02 the unconfirmed are told so whatever they send, and whatever they say of themselves', async (t) => {
    const token = visitors.unconfirmed;
    for (const target of ['/%73ecret', '/secret?confirmed=true', '/admin/users', '/admin/users?q=%25', '/']) {
      const headers = { 'x-auth-confirmed': 'true', 'x-auth-role': 'admin' };
      refused(t, await client.get(target, { token, headers }), 403, 'unconfirmed', target);
    }
    refused(t, await client.request('DELETE', withSamples('/admin/users/{id}'), { token }), 403, 'unconfirmed');
    const malformed = { token, body: '{', headers: { 'content-type': 'application/json' } };
    refused(t, await client.request('PATCH', withSamples('/admin/users/{id}'), malformed), 403, 'unconfirmed', 'before the body');
  });

  t.test('G03 what is not there is the same for everybody', async (t) => {
    const everybody = [
      undefined,
      visitors.unconfirmed,
      visitors.confirmed,
      visitors.disabled,
      visitors.loggedOut,
      visitors.deleted,
      'garbage',
    ];
    const nowhere = ['/nowhere', '/auth', '/auth/nothing', '/admin', '/admin/nothing', '/secret/below', '/auth/me/nothing', '/dev/mail'];
    for (const path of nowhere) {
      for (const method of ['GET', 'POST', 'DELETE', 'OPTIONS'] as const) await assertSame(t, method, path, everybody);
    }
    const both = { authorization: `Bearer ${visitors.confirmed}`, cookie: `access=${visitors.unconfirmed}` };
    refused(t, await client.get('/nowhere', { headers: both }), 404, 'not_found', 'with two credentials');
    refused(t, await client.get('/secret', { headers: both }), 400, 'ambiguous_credentials', 'which matter where there is something');
  });

  async function assertSame(t: Test, method: Operation['method'], path: string, tokens: readonly (string | undefined)[]): Promise<void> {
    const answers: Answer[] = [];
    for (const token of tokens) answers.push(await client.request(method, path, token === undefined ? {} : { token }));
    for (const answer of answers) {
      refused(t, answer, 404, 'not_found', `${method} ${path}`);
      t.strictSame(withoutOccasion(answer), withoutOccasion(answers[0] as Answer));
    }
  }

  t.test('G06 no header, query or form turns a request into another', async (t) => {
    const ada = await confirmedPerson({ ...service, ...client });
    const [token, other] = [ada.token, await logIn(client, ada)];
    const overrides = [
      'X-HTTP-Method-Override',
      'X-HTTP-Method',
      'X-Method-Override',
      '_method',
      'X-Original-Method',
      'X-Forwarded-Method',
    ];
    for (const name of overrides) {
      const answer = await client.get('/auth/sessions?_method=DELETE&method=DELETE', { token, headers: { [name]: 'DELETE' } });
      t.equal(answer.body.sessions.length, 2, `${name} ends no session`);
      refused(t, await client.post('/auth/sessions', {}, { token, headers: { [name]: 'DELETE' } }), 405, 'method_not_allowed', name);
      refused(t, await client.get('/auth/login', { headers: { [name]: 'POST' } }), 405, 'method_not_allowed', name);
    }
    t.equal((await client.get('/auth/me', { token: other })).status, 200, 'both sessions live');
    for (const name of ['X-Original-URL', 'X-Rewrite-URL', 'X-Forwarded-URI', 'X-Forwarded-Path', 'X-Original-URI', 'X-Forwarded-Prefix']) {
      assertClosed(t, await client.get('/secret', { headers: { [name]: '/health/live' } }), name);
      const answer = await client.get('/health/live', { token, headers: { [name]: '/secret' } });
      t.strictSame(answer.body, { status: 'ok' }, `${name} leads nowhere else`);
    }
  });

  t.test('G06 nothing that a proxy might say changes what an answer points to', async (t) => {
    const said = {
      'x-forwarded-prefix': '/evil',
      'x-forwarded-host': 'evil.test',
      'x-forwarded-proto': 'https',
      'x-forwarded-port': '444',
      'x-forwarded-server': 'evil.test',
      'x-script-name': '/evil',
      forwarded: 'host=evil.test;proto=https',
    };
    const asked: [string, Readonly<Record<string, string>>][] = [
      ['/auth/confirm/x', { accept: 'text/html' }],
      ['/auth/password/reset/x', { accept: 'text/html' }],
      ['/openapi.json', {}],
      ['/docs', {}],
      ['/secret', { authorization: `Bearer ${visitors.unconfirmed}` }],
    ];
    for (const [path, headers] of asked) {
      const [plain, misled] = [await client.get(path, { headers }), await client.get(path, { headers: { ...headers, ...said } })];
      t.strictSame(withoutOccasion(misled), withoutOccasion(plain), path);
      t.notMatch(misled.text, /evil/);
    }
  });
});

/** An answer without what is of its moment alone. */
function withoutOccasion({ status, headers, text }: Answer) {
  const { date: _date, 'x-request-id': _id, ...others } = headers;
  return { status, headers: others, text };
}

function assertClosed(t: Test, answer: Answer, what: string): void {
  refused(t, answer, 401, 'unauthenticated', what);
  t.match(answer.headers['www-authenticate'], /^Bearer\b/);
}
