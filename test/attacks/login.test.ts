import t from 'tap';
import { changeRole, disableUser, requireNamedUser } from '../../src/administration/manage-user.ts';
import { argon2UsesOf } from '../support/argon2-count.ts';
import { cookieHeader, setCookies } from '../support/cookies.ts';
import { startHttpService } from '../support/http.ts';
import { confirmedPerson, logIn, newDetails, register } from '../support/person.ts';
import { refused } from '../support/refusal.ts';
import { assertProblem, exchangeOne, postBytes } from '../support/wire.ts';

const off = { RATE_LIMIT: 'off' };

t.test('L01 a login that fails tells nothing about the account, in no byte of the answer', async (t) => {
  const service = await startHttpService(t, off);
  const [known, disabled] = [await register(service), await register(service)];
  const { services } = service.app;
  t.type(await logIn(service, disabled), 'string', 'until it is disabled');
  await disableUser(services, await requireNamedUser(services.db, disabled.id));
  const { password } = known;
  const attempts: Readonly<Record<string, object>> = {
    'wrong password': { email: known.email, password: 'not the password' },
    'wrong password, by name': { username: known.username, password: 'not the password' },
    'password in another case': { email: known.email, password: password.toUpperCase() },
    'unknown address': { email: 'nobody@example.com', password },
    'unknown name': { username: 'nobody', password },
    'reserved name': { username: 'admin', password },
    'not an address': { email: 'x', password },
    'not a name': { username: '1 ü', password },
    'disabled account': { email: disabled.email, password: disabled.password },
    'disabled account, by name': { username: disabled.username, password: disabled.password },
    'disabled account, wrong password': { email: disabled.email, password },
    'over-long password': { email: known.email, password: password.repeat(300) },
    'over-long address': { email: `${'a'.repeat(3000)}@example.com`, password },
  };
  for (const [transport, fields] of [
    ['bearer', {}],
    ['cookie', { 'sec-fetch-site': 'same-origin' }],
  ] as const) {
    const answers = new Set<string>();
    for (const [what, body] of Object.entries(attempts)) {
      const bytes = postBytes('/auth/login', JSON.stringify({ ...body, transport }), fields);
      const answer = await exchangeOne(service.base, bytes);
      assertProblem(t, answer, { status: 401, code: 'invalid_credentials' });
      const { date: _, 'x-request-id': __, ...headers } = answer.headers;
      // With the names of all headers, in the order in which they came.
      const seen = JSON.stringify([answer.status, Object.keys(answer.headers), headers, answer.body]);
      answers.add(seen);
      t.equal(answers.size, 1, `${what}, for ${transport}`);
    }
  }
  t.equal(
    (await service.post('/auth/login', { email: known.email, password })).body.user.confirmed,
    false,
    'the right one logs in, unconfirmed',
  );
});

t.test('L03 what looks like a query, a pattern or a filter is a wrong name at most', async (t) => {
  const service = await startHttpService(t, off);
  const { password } = await register(service, { ...newDetails(), email: 'ada_l@example.com', username: 'Ada_L' });
  const names = [
    "' OR 1=1--",
    "' OR '1'='1",
    "x' AND pg_sleep(30)--",
    "x'; select pg_sleep(30); --",
    '1; DROP TABLE users',
    '%',
    '_',
    'Ada%',
    'Ada.L',
  ];
  const more = [
    'ada_l@example.co_',
    'AdaXL',
    '*',
    '.*',
    '\\',
    '$1',
    '{{1}}',
    '${1}',
    '*)(uid=*',
    'x"',
    "Ada_L'",
    'Ada_L ',
    ' Ada_L',
    '(select pg_sleep(30))',
  ];
  const before = performance.now();
  for (const name of [...names, ...more]) {
    refused(t, await service.post('/auth/login', { username: name, password }), 401, 'invalid_credentials', `name ${name}`);
    refused(t, await service.post('/auth/login', { email: name, password }), 401, 'invalid_credentials', `address ${name}`);
    refused(t, await service.post('/auth/login', { username: 'Ada_L', password: name }), 401, 'invalid_credentials', `password ${name}`);
  }
  t.ok(performance.now() - before < 30_000, 'and the database has not slept');
  for (const value of [
    { $gt: '' },
    { $ne: 1 },
    { $regex: '.*' },
    { $where: '1' },
    [],
    ['ada_l@example.com'],
    [[]],
    0,
    1,
    true,
    false,
    null,
  ]) {
    const what = JSON.stringify(value);
    for (const body of [
      { email: value, password },
      { username: value, password },
      { email: 'ada_l@example.com', password: value },
      { username: 'Ada_L', password, rememberMe: value === true || value === false ? 'true' : value },
    ]) {
      refused(t, await service.post('/auth/login', body), 400, 'validation_failed', what);
    }
    if (value !== null) refused(t, await service.post('/auth/login', JSON.stringify(value)), 400, 'validation_failed', `the body ${what}`);
  }
  for (const body of [
    '',
    '{',
    '"',
    "{'email':1}",
    '{"email":"a","email":"b","password":"c"}',
    '{"__proto__":{"email":"a"},"password":"c"}',
  ]) {
    const { status } = await service.post('/auth/login', body);
    t.equal(status, 400, body);
  }
  for (const username of ['Ada_L', 'ada_l', 'ADA_L'])
    t.equal((await service.post('/auth/login', { username, password })).status, 200, username);

  const administrator = await confirmedPerson(service);
  const { services } = service.app;
  await changeRole(services, await requireNamedUser(services.db, administrator.id), 'admin');
  const token = await logIn(service, administrator);
  const found = async (q: string) => (await service.get(`/admin/users?q=${encodeURIComponent(q)}`, { token })).body.users.length;
  t.strictSame(
    [await found('%'), await found('_'), await found("' OR 1=1--"), await found('da_l'), await found('\\')],
    [0, 1, 0, 1, 0],
    'nor is a search',
  );
});

t.test('L05 a session that was planted before the login is worth nothing after it', async (t) => {
  const service = await startHttpService(t, { ...off, PUBLIC_URL: 'https://auth.example.test' });
  const [victim, attacker] = [await register(service), await register(service)];
  const own = { 'sec-fetch-site': 'same-origin' };
  const open = ({ email, password }: typeof victim, cookie: string) =>
    service.post('/auth/login', { email, password, transport: 'cookie' }, { headers: { ...own, ...(cookie !== '' && { cookie }) } });
  const theirs = await open(attacker, '');
  const planted = [
    '__Host-session=fixed',
    '__Host-access=fixed; __Host-refresh=fixed',
    'access=fixed; refresh=fixed; session=fixed; sid=fixed; connect.sid=fixed; JSESSIONID=fixed',
    cookieHeader(setCookies(theirs)),
  ];
  const seen = new Set([theirs.body.session.id]);
  for (const cookie of planted) {
    const login = await open(victim, cookie);
    t.equal(login.status, 200);
    t.equal(login.body.user.id, victim.id);
    t.notOk(seen.has(login.body.session.id), 'the session is a new one');
    seen.add(login.body.session.id);
    const cookies = setCookies(login);
    t.strictSame(
      cookies.map(({ name }) => name),
      ['__Host-access', '__Host-refresh'],
      'both cookies are replaced',
    );
    for (const { value } of cookies) t.notOk(cookie.includes(value) || value === 'fixed');
    const me = await service.get('/auth/me', { headers: { cookie: cookieHeader(cookies) } });
    t.equal(me.body.user?.id, victim.id, 'what was set is the session of the victim');

    const withPlanted = await service.get('/auth/me', { headers: { cookie } });
    if (withPlanted.status === 200) t.equal(withPlanted.body.user.id, attacker.id, 'the session of the attacker is nobody else’s');
    else refused(t, withPlanted, 401, 'unauthenticated', 'the planted one is useless');
  }
  for (const member of ['session', 'sessionId', 'sid', 'id', 'refreshToken']) {
    const { email, password } = victim;
    refused(t, await service.post('/auth/login', { email, password, [member]: theirs.body.session.id }), 400, 'validation_failed', member);
  }
});

t.test('L07 a body that is too large is refused before it is read, parsed or hashed', async (t) => {
  const service = await startHttpService(t, off);
  const { email, password, token } = await confirmedPerson(service);
  const limit = 16 * 1024;
  const bodyOf = (bytes: number) => {
    const empty = JSON.stringify({ email, password: '' });
    return JSON.stringify({ email, password: 'x'.repeat(bytes - empty.length) });
  };
  const { result, uses } = await argon2UsesOf(() => service.post('/auth/login', bodyOf(limit)));
  refused(t, result, 401, 'invalid_credentials', 'the largest that is read is a wrong password');
  t.equal(uses.length, 1);

  const tooLarge = { status: 413, code: 'payload_too_large' };
  const large = await argon2UsesOf(async () => {
    for (const path of ['/auth/login', '/auth/register', '/auth/password/reset', '/auth/confirm', '/auth/email/confirm', '/auth/refresh']) {
      assertProblem(t, await exchangeOne(service.base, postBytes(path, bodyOf(limit + 1))), tooLarge);
      // Only announced: an answer shows that nobody has waited for it.
      assertProblem(t, await exchangeOne(service.base, postBytes(path, '{"email":', { 'content-length': String(1024 * 1024) })), tooLarge);
      const chunks = `${'1000\r\n'}${'x'.repeat(4096)}\r\n`.repeat(5);
      const chunked = { 'content-length': '', 'transfer-encoding': 'chunked' };
      assertProblem(t, await exchangeOne(service.base, postBytes(path, `${chunks}0\r\n\r\n`, chunked)), tooLarge);
      const packed = await service.post(path, bodyOf(200), { headers: { 'content-encoding': 'gzip' } });
      refused(t, packed, 415, 'unsupported_media_type', 'packed, which would grow');
    }
    for (const path of ['/auth/email', '/auth/me/deletion']) {
      const bytes = postBytes(path, bodyOf(limit + 1), { authorization: `Bearer ${token}`, 'user-agent': 'node' });
      assertProblem(t, await exchangeOne(service.base, bytes), tooLarge);
    }
  });
  t.strictSame(large.uses, [], 'nothing was hashed');
  t.equal((await service.post('/auth/login', { email, password })).status, 200, 'and everybody else logs in');
});

t.test('L08 the answer to a login is not kept, and tokens come one way only', async (t) => {
  const service = await startHttpService(t, { ...off, PUBLIC_URL: 'https://auth.example.test' });
  const { email, password } = await register(service);
  const headers = { 'sec-fetch-site': 'same-origin' };
  for (const rememberMe of [false, true]) {
    const byCookie = await service.post('/auth/login', { email, password, rememberMe, transport: 'cookie' }, { headers });
    const cookies = setCookies(byCookie);
    const refreshed = await service.post('/auth/refresh', undefined, { headers: { ...headers, cookie: cookieHeader(cookies) } });
    for (const answer of [byCookie, refreshed]) {
      t.match(answer, { status: 200, headers: { 'cache-control': 'no-store' } });
      t.strictSame(Object.keys(answer.body).sort(), ['expiresIn', 'session', 'tokenType', 'user']);
      for (const { value } of setCookies(answer)) t.notOk(answer.text.includes(value), 'the token is not in the body');
      t.notMatch(answer.text, /eyJ|refreshToken|accessToken/);
    }
    const inBody = await service.post('/auth/login', { email, password, rememberMe });
    const next = await service.post('/auth/refresh', { refreshToken: inBody.body.refreshToken });
    for (const answer of [inBody, next]) {
      t.match(answer, { status: 200, headers: { 'cache-control': 'no-store' }, body: { accessToken: /^eyJ/, refreshToken: String } });
      t.strictSame(setCookies(answer), [], 'no cookie is set');
    }
  }
  refused(t, await service.post('/auth/login', { email, password: 'x', transport: 'cookie' }, { headers }), 401, 'invalid_credentials');
});

t.test('L09 a login is JSON, in the body of a POST', async (t) => {
  const service = await startHttpService(t, off);
  const { email, password } = await register(service, { ...newDetails(), password: 'Canary-of-L09-in-the-log' });
  const query = `email=${encodeURIComponent(email)}&password=${encodeURIComponent(password)}`;
  for (const method of ['GET', 'HEAD', 'PUT', 'PATCH', 'DELETE'] as const) {
    const answer = await service.request(method, `/auth/login?${query}`);
    t.match([answer.status, answer.headers['allow']], [405, 'POST'], method);
    t.notOk(answer.headers['set-cookie']);
  }
  refused(t, await service.post(`/auth/login?${query}`), 400, 'validation_failed', 'a query with no body');
  refused(t, await service.post(`/auth/login?${query}`, {}), 400, 'validation_failed', 'a query with an empty one');
  const body = JSON.stringify({ email, password });
  const multipart = `--x\r\nContent-Disposition: form-data; name="email"\r\n\r\n${email}\r\n--x--\r\n`;
  const types: [string, string][] = [
    ['text/plain', body],
    ['text/plain;charset=UTF-8', body],
    ['text/json', body],
    ['application/x-www-form-urlencoded', query],
    ['application/x-www-form-urlencoded', body],
    ['multipart/form-data; boundary=x', multipart],
    ['application/xml', `<login><email>${email}</email></login>`],
    ['application/json5', body],
    ['application/problem+json', body],
    ['application/jsonp', body],
    ['application/octet-stream', body],
    ['application/json; charset=utf-16', body],
    ['', body],
  ];
  for (const [type, text] of types) {
    const answer = await exchangeOne(service.base, postBytes('/auth/login', text, { 'content-type': type }));
    assertProblem(t, answer, { status: 415, code: 'unsupported_media_type' });
  }
  for (const path of ['/auth/login/', '/auth//login', '/AUTH/LOGIN', '/auth/login;x', '/auth/login/x', '/auth/log%69n%2f']) {
    t.equal((await exchangeOne(service.base, postBytes(path, body))).status, 404, path);
  }
  for (const type of ['application/json', 'application/json; charset=utf-8', 'Application/JSON']) {
    t.equal((await exchangeOne(service.base, postBytes('/auth/login', body, { 'content-type': type }))).status, 200, type);
  }
  t.notOk(
    service.log.some((line) => line.includes('Canary-of-L09')),
    'and no line of the log holds what was sent',
  );
});
