import t from 'tap';
import { parseEmail } from '../../src/credentials/email.ts';
import { createHttpClient } from '../support/http.ts';
import { publishedOperations } from '../support/operations.ts';
import { confirmationPath, logIn, newDetails, register } from '../support/person.ts';
import { refused } from '../support/refusal.ts';
import { startService } from '../support/service.ts';
import { assertProblem, exchangeOne, requestBytes } from '../support/wire.ts';

const json = { 'content-type': 'application/json' };
/** Generous: what takes longer than this on a few kilobytes does not grow with their number, but with a power of it. */
const patienceMs = 5000;

/** A part of a JSON Schema, as far as it names members. */
interface Schema {
  readonly type?: string;
  readonly properties?: Readonly<Record<string, Schema>>;
  readonly anyOf?: readonly Schema[];
}

/** The members of a body that are texts, whatever alternatives it has. */
function textMembers({ properties = {}, anyOf = [] }: Schema): string[] {
  const isText = ({ type, anyOf: either = [] }: Schema): boolean => type === 'string' || either.some(isText);
  const own = Object.entries(properties)
    .filter(([, schema]) => isText(schema))
    .map(([name]) => name);
  return [...new Set([...own, ...anyOf.flatMap(textMembers)])];
}

t.test('bodies, over real connections', async (t) => {
  const service = await startService(t, { RATE_LIMIT: 'off' });
  const base = await service.listen();
  const client = createHttpClient(base);
  const person = await register(client);
  const token = await logIn(client, person);
  const document = (await client.get('/openapi.json')).body;
  const operations = (await publishedOperations(client)).filter(({ path }) => !path.startsWith('/admin') && path !== '/secret');
  const unsafe = operations.filter(({ method }) => method !== 'GET');
  const bodyOf = ({ path, method }: (typeof operations)[number]): Schema =>
    document.paths[path][method.toLowerCase()].requestBody?.content['application/json'].schema ?? {};
  const send = (method: 'POST' | 'PUT' | 'PATCH' | 'DELETE', url: string, body: string) =>
    client.request(method, url, { token, body, headers: json });

  t.test('D01 no member of a body reaches a prototype, however it is written and wherever it is', async (t) => {
    const evil = [
      '{"__proto__":{"confirmed":true,"role":"admin"}}',
      '{"\\u005f_proto__":{"confirmed":true}}',
      '{"\\u005F\\u005f\\u0070roto__":{"confirmed":true}}',
      '{"constructor":{"prototype":{"confirmed":true}}}',
      '{"c\\u006fnstructor":{"prot\\u006ftype":{"confirmed":true}}}',
      '{"a":{"__proto__":{"confirmed":true}}}',
      '{"a":[{"b":{"__proto__":{"confirmed":true}}}]}',
      '{"__proto__":null}',
      '[{"__proto__":{"confirmed":true}}]',
    ];
    const unknown = [
      '{"constructor":"x"}',
      '{"prototype":{"confirmed":true}}',
      '{"__defineGetter__":"x","hasOwnProperty":"x","toString":"x","valueOf":"x"}',
    ];
    for (const { name, method, url } of unsafe) {
      for (const body of [...evil, ...unknown]) {
        const answer = await send(method as 'POST', url, body);
        t.ok(
          answer.status === 400 && /^(?:malformed_request|validation_failed)$/.test(answer.body.code),
          `${name} ${body}: ${answer.status}`,
        );
      }
    }
    t.equal(({} as { confirmed?: boolean }).confirmed, undefined);
    t.strictSame((await client.get('/auth/me', { token })).body.user.confirmed, false);
  });

  t.test('D01 nor does one beside all that is right', async (t) => {
    for (const extra of [
      '"__proto__":{"confirmed":true}',
      '"\\u005f_proto__":{"role":"admin"}',
      '"constructor":{"prototype":{"role":"admin"}}',
    ]) {
      const details = newDetails();
      const body = JSON.stringify(details).replace('{', `{${extra},`);
      t.equal((await send('POST', '/auth/register', body)).status, 400, extra);
      t.match((await send('POST', '/auth/register', JSON.stringify(details))).body.user, { confirmed: false, role: 'user' });
    }
  });

  t.test('D01 nor in a query or a form', async (t) => {
    for (const query of ['__proto__=x', '__proto__[limit]=5', 'constructor[prototype][limit]=5', '%5f_proto__=x', 'constructor=x']) {
      t.equal((await client.get(`/auth/events?${query}`, { token })).status, 400, query);
    }
    t.equal((await client.get('/auth/events?limit=5', { token })).status, 200);
    const path = await confirmationPath(service, person);
    for (const form of ['__proto__=x', 'password=x&__proto__=x', '__proto__[confirmed]=true', 'constructor=x', '%5f_proto__=x']) {
      const answer = await client.post(path, form, {
        headers: { 'content-type': 'application/x-www-form-urlencoded', 'sec-fetch-site': 'same-origin' },
      });
      t.equal(answer.status, 400, form);
    }
  });

  t.test('D05 a NUL, or half a character, in any text of any body is refused', async (t) => {
    let members = 0;
    for (const operation of unsafe) {
      const names = textMembers(bodyOf(operation));
      members += names.length;
      for (const name of [...names, 'unheardOf']) {
        for (const text of ['\\u0000', 'a\\u0000b', `${person.email}\\u0000`, '\\ud800', 'a\\udc00b', '\0']) {
          const answer = await send(operation.method as 'POST', operation.url, `{"${name}":"${text}"}`);
          t.equal(answer.status, 400, `${operation.name} ${name} ${JSON.stringify(text)}`);
          t.match(answer.body, { code: 'malformed_request' });
        }
      }
      refused(t, await send(operation.method as 'POST', operation.url, '{"a\\u0000b":1}'), 400, 'malformed_request', 'in a name');
    }
    t.ok(members >= 20, `${members} members`);
    const details = { ...newDetails(), password: 'a\u0001b \u007f and \u{10ffff} more' };
    t.equal((await client.post('/auth/register', details)).status, 201, 'other characters are a password’s own affair');
  });

  t.test('D05 a NUL beside all that is right is no shorter text', async (t) => {
    const { email, username, password } = person;
    for (const login of [
      { email: `${email}\0`, password },
      { username: `${username}\0x`, password },
      { email, password: `${password}\0` },
    ]) {
      refused(t, await client.post('/auth/login', login), 400, 'malformed_request');
    }
    t.equal((await client.post('/auth/login', { email, password })).status, 200);
  });

  t.test('D05 a NUL in a path, a query or a form is refused', async (t) => {
    for (const { method, url, name } of operations) {
      for (const target of [`${url}%00`, `${url}?a=%00`, `${url}?%00`, `${url}?limit=1%00`, url.replace(/x$/, 'a%00b')]) {
        if (!target.includes('%00')) continue;
        assertProblem(t, await exchangeOne(base, requestBytes(method, target)), { status: 400, code: 'malformed_request' });
      }
      assertProblem(t, await exchangeOne(base, requestBytes(method, `${url}\0`)), { status: 400, code: 'malformed_request' });
      t.ok(true, name);
    }
    const path = await confirmationPath(service, person);
    for (const form of ['password=a%00b', 'pass%00word=a', 'password=\0']) {
      const answer = await client.post(path, form, {
        headers: { 'content-type': 'application/x-www-form-urlencoded', 'sec-fetch-site': 'same-origin' },
      });
      t.equal(answer.status, 400, JSON.stringify(form));
    }
    t.equal((await client.get('/auth/events?cursor=a%2500b', { token })).status, 400, 'escaped twice, it is only no cursor');
  });

  t.test('D10 addresses and names that make a pattern go back and forth are refused in no time', async (t) => {
    const long = 15_000;
    const addresses = [
      `${'a'.repeat(long)}@`,
      `${'a'.repeat(long)}`,
      `${'('.repeat(long)}a@example.com`,
      `${'(a'.repeat(long / 2)}@example.com`,
      `${'a.'.repeat(long / 2)}@example.com`,
      `${'"'.repeat(long / 2)}@example.com`,
      `a@${'a.'.repeat(long / 2)}`,
      `a@${'-'.repeat(long)}.com`,
      `a@${'xn--'.repeat(long / 4)}.com`,
      `a@${'a-'.repeat(long / 2)}`,
      `${'@'.repeat(long)}`,
      `a@[${'1.'.repeat(long / 2)}]`,
      `${'\u00fc'.repeat(long / 3)}@example.com`,
      `a@${'\u00fc.'.repeat(long / 4)}com`,
      `${' '.repeat(long)}a@example.com`,
    ];
    const began = performance.now();
    for (const email of addresses) {
      refused(t, await client.post('/auth/register', { ...newDetails(), email }), 400, 'validation_failed', email.slice(0, 12));
      t.ok([400, 401].includes((await client.post('/auth/login', { email, password: 'x' })).status));
      t.ok([202, 400].includes((await client.post('/auth/password/forgot', { email })).status));
      t.equal((await client.post('/auth/email', { newEmail: email, password: 'x' }, { token })).status, 400);
    }
    for (const username of ['a'.repeat(long), `a${'_'.repeat(long)}!`, `${'a.'.repeat(long / 2)}-`, '.'.repeat(long)]) {
      refused(t, await client.post('/auth/register', { ...newDetails(), username }), 400, 'validation_failed');
      t.ok([400, 401].includes((await client.post('/auth/login', { username, password: 'x' })).status));
    }
    t.ok(performance.now() - began < 6 * patienceMs);
    refused(t, await client.post('/auth/register', { ...newDetails(), email: `${'a'.repeat(50_000)}@` }), 413, 'payload_too_large');
    refused(t, await client.post('/auth/register', { ...newDetails(), username: 'a'.repeat(100_000) }), 413, 'payload_too_large');
    const longest = `${'a'.repeat(64)}@${'b'.repeat(60)}.${'c'.repeat(60)}.${'d'.repeat(60)}.test`;
    t.equal((await client.post('/auth/register', { ...newDetails(), email: longest, username: 'q'.repeat(64) })).status, 201);
  });

  t.test('D10 the length of an address is looked at before anything else', async (t) => {
    const began = performance.now();
    for (const part of ['a', '(', '"', '.', 'a.', '@', '\u00fc', '-', 'xn--', ' ']) {
      for (const text of [`${part.repeat(1_000_000)}@`, `a@${part.repeat(1_000_000)}`, `a@b.${part.repeat(1_000_000)}`]) {
        t.equal(parseEmail(text), undefined);
      }
    }
    t.ok(performance.now() - began < patienceMs);
    t.ok(parseEmail('ada@example.com'));
  });

  t.test('D10 nor does any other text that is read by a pattern', async (t) => {
    const began = performance.now();
    const headers: Readonly<Record<string, string>>[] = [
      { authorization: `Bearer ${'='.repeat(8000)}!` },
      { authorization: `Bearer ${'.'.repeat(8000)}!` },
      { authorization: `Bearer${' '.repeat(8000)}x` },
      { cookie: `access${' '.repeat(8000)}=x` },
      { cookie: ';='.repeat(4000) },
      { accept: 'text/html;q=0.'.repeat(500) },
      { accept: `${',;'.repeat(4000)}` },
      { 'accept-language': `${'en-'.repeat(2600)}` },
      { 'accept-language': `${'en;q=,'.repeat(1300)}` },
      { 'user-agent': `Mozilla/5.0 (${'('.repeat(8000)}` },
      { 'user-agent': `Mozilla/5.0 ${'Version/ Safari/ '.repeat(450)}` },
      { 'if-none-match': `"${'"'.repeat(8000)}` },
      { range: `bytes=${'0-1,'.repeat(2000)}` },
    ];
    for (const fields of headers) {
      for (const path of ['/auth/me', '/auth/confirm/x', '/docs/static/index.css']) {
        const { status } = await exchangeOne(base, requestBytes('GET', path, fields));
        t.ok(status < 500, `${path} ${JSON.stringify(fields).slice(0, 40)}: ${status}`);
      }
    }
    for (const type of [
      `application/json;${' '.repeat(8000)}x`,
      `application/json; charset${'='.repeat(8000)}`,
      `application/json${';'.repeat(8000)}`,
    ]) {
      const { status } = await exchangeOne(base, requestBytes('POST', '/auth/login', { 'content-type': type }, '{}'));
      t.ok([400, 415].includes(status), `${type.slice(0, 30)}: ${status}`);
    }
    for (const body of [
      '['.repeat(16_000),
      `${'['.repeat(8000)}${']'.repeat(8000)}`,
      '{"a":'.repeat(3000),
      `"${'\\'.repeat(16_000)}`,
      `{"a":"${'\\"'.repeat(8000)}"}`,
      `{"a":1${' '.repeat(16_000)}}`,
    ]) {
      t.equal((await send('POST', '/auth/login', body)).status, 400, body.slice(0, 12));
    }
    t.ok(performance.now() - began < 4 * patienceMs);
  });
});
