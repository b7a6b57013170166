import t from 'tap';
import { newDetails, register } from '../support/person.ts';
import { startService } from '../support/service.ts';

t.test('requests are taken literally', async (t) => {
  const service = await startService(t);
  const person = await register(service);

  /** Sends text as it is, as JSON. */
  const send = async (url: string, payload: string | Buffer) => {
    const answer = await service.app.inject({ method: 'POST', url, payload, headers: { 'content-type': 'application/json' } });
    return { status: answer.statusCode, type: String(answer.headers['content-type']), text: answer.payload, code: answer.json().code };
  };
  const sendJson = (url: string, body: unknown) => send(url, JSON.stringify(body));
  const malformed = { status: 400, type: /^application\/problem\+json/, code: 'malformed_request' };
  const invalid = { ...malformed, code: 'validation_failed' };

  await t.test('the details that the others differ from in one point are accepted', async (t) => {
    t.equal((await sendJson('/auth/register', newDetails())).status, 201);
    t.equal((await sendJson('/auth/login', { email: person.email, password: person.password })).status, 200);
  });

  await t.test('R03: no value is converted into the text that is wanted', async (t) => {
    const wrong: Record<string, unknown>[] = [
      { email: [newDetails().email] },
      { email: { $ne: 1 } },
      { email: { toString: 'x' } },
      { email: 123 },
      { email: true },
      { email: null },
      { username: ['someone'] },
      { username: 123 },
      { username: null },
      { password: 123456789012345 },
      { password: ['correct horse battery staple'] },
      { passwordConfirmation: null },
      { locale: ['en'] },
    ];
    for (const change of wrong) t.match(await sendJson('/auth/register', { ...newDetails(), ...change }), invalid, JSON.stringify(change));
    const login = { email: person.email, password: person.password };
    for (const change of [
      { email: [person.email] },
      { email: { $gt: '' } },
      { password: { $gt: '' } },
      { password: [person.password] },
      { rememberMe: 'true' },
      { rememberMe: 1 },
      { rememberMe: null },
    ]) {
      t.match(await sendJson('/auth/login', { ...login, ...change }), invalid, JSON.stringify(change));
    }
    for (const refreshToken of [1, true, null, ['x'], { x: 1 }, '']) t.match(await sendJson('/auth/refresh', { refreshToken }), invalid);
    for (const token of [1, true, null, ['x'], { x: 1 }, '']) t.match(await sendJson('/auth/confirm', { token }), invalid);
  });

  await t.test('a body is an object, and no other value', async (t) => {
    for (const url of ['/auth/register', '/auth/login', '/auth/refresh', '/auth/confirm']) {
      for (const body of ['[]', '"{}"', '1', 'true', '[{}]']) t.match(await send(url, body), invalid, `${url} ${body}`);
      // A refresh may come without a body, by cookie; here it comes without that, too.
      const empty = url === '/auth/refresh' ? { status: 401, code: 'invalid_refresh_token' } : invalid;
      for (const body of ['null', '{}']) t.match(await send(url, body), empty, `${url} ${body}`);
      for (const body of ['{', 'undefined', '{"a":1,}']) t.match(await send(url, body), malformed, `${url} ${body}`);
      t.match(await send(url, ''), { status: empty.status });
    }
  });

  await t.test('a member that is not known is refused, and is not repeated to the client', async (t) => {
    const canary = 'c4n4ry';
    const unknown: Record<string, unknown>[] = [
      { [canary]: canary },
      { confirmed: true, x: canary },
      { role: canary },
      { id: canary },
      { Email: canary },
      { 'email ': canary },
    ];
    for (const member of unknown) {
      const bodies = {
        register: newDetails(),
        login: { email: person.email, password: person.password },
        refresh: { refreshToken: 'x' },
        confirm: { token: 'x' },
      };
      for (const [path, body] of Object.entries(bodies)) {
        const answer = await sendJson(`/auth/${path}`, { ...body, ...member });
        t.match(answer, invalid, `${path} ${Object.keys(member)}`);
        t.notMatch(answer.text, canary);
      }
    }
    const many = Object.fromEntries(Array.from({ length: 900 }, (_, index) => [`${canary}${index}`, 1]));
    const answer = await sendJson('/auth/register', { ...newDetails(), ...many });
    t.match(answer, invalid);
    t.ok(JSON.parse(answer.text).errors.length <= 16);
  });

  await t.test('a value that is refused is not repeated to the client', async (t) => {
    const canary = 'c4n4ry';
    for (const member of [
      { email: canary },
      { username: `${canary}!` },
      { password: canary.slice(0, 6) },
      { locale: `${canary}!` },
      { passwordConfirmation: canary.repeat(30) },
    ]) {
      const answer = await sendJson('/auth/register', { ...newDetails(), ...member });
      t.match(answer, invalid);
      t.notMatch(answer.text, canary);
    }
    t.notMatch((await send('/auth/register', `{"email": ${canary}`)).text, canary);
  });

  await t.test('a member that is named twice is refused, however it is spelt', async (t) => {
    const { email, username, password } = newDetails();
    const rest = `"username":"${username}","password":"${password}"`;
    for (const name of ['email', '\\u0065mail', 'emai\\u006c']) {
      t.match(await send('/auth/register', `{"email":"${email}","${name}":"other@example.com",${rest}}`), malformed);
    }
    t.equal((await send('/auth/register', `{"\\u0065mail":"${email}",${rest}}`)).status, 201, 'once, it is a spelling like any other');
  });

  await t.test('D01: a member that reaches a prototype is refused', async (t) => {
    for (const member of ['"__proto__":{"x":1}', '"\\u005f_proto__":{}', '"constructor":{"prototype":{}}', '"locale":{"__proto__":{}}']) {
      t.match(await send('/auth/login', `{"email":"${person.email}","password":"any",${member}}`), malformed, member);
    }
  });

  await t.test('D05: NULs, lone surrogates and bytes that are not UTF-8 are refused in every member', async (t) => {
    const bodies: Record<string, Record<string, unknown>> = {
      '/auth/register': { ...newDetails(), passwordConfirmation: 'x', locale: 'en' },
      '/auth/login': { email: person.email, username: 'x', password: 'x' },
      '/auth/refresh': { refreshToken: 'x' },
      '/auth/confirm': { token: 'x', password: 'x' },
    };
    for (const [url, body] of Object.entries(bodies)) {
      for (const name of Object.keys(body)) {
        for (const text of ['a\u0000b', '\ud800', 'a\udc00']) {
          t.match(await sendJson(url, { ...body, [name]: text }), malformed, `${url} ${name}`);
        }
        const latin1 = Buffer.from(JSON.stringify({ ...body, [name]: 'caf\u00e9' }), 'latin1');
        t.match(await send(url, latin1), malformed);
      }
    }
    t.match(
      await send('/auth/login', `\ufeff${JSON.stringify({ email: person.email, password: person.password })}`),
      malformed,
      'a byte order mark',
    );
  });

  await t.test('R05: no address and no user name brings a header field along', async (t) => {
    for (const email of [
      'a@x.test\r\nBcc: b@y.test',
      'a@x.test%0d%0aBcc:b@y.test',
      'a@x.test\n',
      'a@x.test,b@y.test',
      'a@bücher.example\r\n',
    ]) {
      t.match(await sendJson('/auth/register', { ...newDetails(), email }), invalid);
    }
    for (const username of ['n\r\nBcc: b@y.test', 'n\n', 'n b', 'n\u200b', '']) {
      t.match(await sendJson('/auth/register', { ...newDetails(), username }), invalid);
    }
  });

  await t.test('D10: over-long names are refused in no time', async (t) => {
    const start = performance.now();
    for (const email of [`${'a'.repeat(15_000)}@`, `${'('.repeat(15_000)}@x.test`, `a@${'a.'.repeat(7000)}`]) {
      t.match(await sendJson('/auth/register', { ...newDetails(), email }), invalid);
    }
    t.match(await sendJson('/auth/register', { ...newDetails(), username: `${'a'.repeat(15_000)}!` }), invalid);
    t.ok(performance.now() - start < 2000);
  });
});
