import t, { type Test } from 'tap';
import { logError } from '../../src/http/log-error.ts';
import { createDatabase } from '../support/database.ts';
import { eventually } from '../support/eventually.ts';
import { canary, leaksOf } from '../support/log-canary.ts';
import { confirmationToken, confirmedPerson, emailChangeToken, newDetails, openSession, register, resetToken } from '../support/person.ts';
import { freePort } from '../support/process.ts';
import { startRefusingMailServer } from '../support/refusing-mail-server.ts';
import { type Service, startInstance, startService } from '../support/service.ts';
import { exchange } from '../support/wire.ts';

const secret = 'kG7!xY2$wq9-Zr4Tn8Lm3Pv6Bs1Dd5Ff0Hh2Jj4';
const json = { 'content-type': 'application/json' };
/** A line of JSON that nothing in it ends, and that no terminal obeys. */
const oneLine = /^\{[^\p{Cc}\u2028\u2029]+\}\n$/u;
const linesOf = ({ log }: Pick<Service, 'log'>) => log.map((line) => JSON.parse(line) as Record<string, unknown>);
/** The lines that say what was asked and answered. */
const requestsIn = (service: Pick<Service, 'log'>) => linesOf(service).filter(({ msg }) => msg === 'request');

/** What a refusal says; nothing for an answer that is none. */
async function refusalTo(url: string, method: string, headers: Record<string, string>, body: unknown): Promise<string> {
  const text = typeof body === 'string' ? body : JSON.stringify(body);
  const answer = await fetch(url, { method, headers: { ...json, ...headers }, redirect: 'manual', ...(text && { body: text }) });
  const said = await answer.text();
  return answer.status < 400 ? '' : said;
}

/** Everything that can be asked for, each with as many of its secrets as it takes, right ones and wrong ones. */
async function sayEverything(service: Service, base: string): Promise<{ count: number; texts: string[]; sent: string[] }> {
  const person = await register(service);
  const other = await confirmedPerson(service);
  const session = await openSession(service, person);
  const mailed = {
    confirm: await confirmationToken(service, person),
    'password/reset': await resetToken(service, other),
    'email/confirm': await emailChangeToken(service, other, `new-${other.email}`),
  };
  const before = requestsIn(service).length;
  const texts: string[] = [];
  const headers = {
    'user-agent': `${canary} (${person.email})`,
    'x-request-id': canary,
    'x-forwarded-for': `${canary}, ${person.email}`,
    referer: `${base}/auth/confirm/${mailed.confirm}`,
    cookie: `access=${session.accessToken}; refresh=${session.refreshToken}; ${canary}=${canary}`,
  };
  const say = async (method: string, path: string, body?: unknown, more: Record<string, string> = headers) =>
    void texts.push(await refusalTo(`${base}${path}`, method, more, body));
  const bearer = (token: string) => ({ authorization: `Bearer ${token}`, 'user-agent': canary });

  const paths = Object.keys(service.app.swagger().paths ?? {}).filter((path) => path !== '/auth/confirm/events');
  for (const [path, value] of paths.flatMap((each) => [session.accessToken, canary].map((value) => [each, value] as const))) {
    const url = `${path.replace(/\{\w+\}/, value)}?access_token=${value}&email=${person.email}&password=${person.password}`;
    await say('GET', url);
    for (const method of ['POST', 'PUT', 'PATCH', 'DELETE', 'OPTIONS'])
      await say(method, url, { token: value, password: canary, [canary]: person.email });
  }
  for (const [kind, token] of Object.entries(mailed)) {
    for (const accept of ['text/html', 'application/json'])
      await say('GET', `/auth/${kind}/${token}`, undefined, { accept, ...bearer(token) });
    await say('POST', `/auth/${kind}/${token}`, `proof=${canary}&password=${person.password}`, {
      'content-type': 'application/x-www-form-urlencoded',
    });
    await say('POST', `/auth/${kind}`, { token, password: `${canary} of somebody`, newPassword: 'password' }, {});
    await say('GET', `/auth/${kind}/${token.slice(0, -4)}AAAA`, undefined, {});
  }
  await say('POST', '/auth/register', { ...newDetails(), email: person.email, password: `${canary} of somebody` }, {});
  await say('POST', '/auth/register', { email: `${canary}@example.com\r\nBcc: a@example.com`, username: canary, password: canary }, {});
  await say('POST', '/auth/login', { email: person.email, password: `${canary} of somebody` }, {});
  await say('POST', '/auth/login', `{"email":"${person.email}","password":"${canary}`, {});
  await say('POST', '/auth/refresh', { refreshToken: `${session.refreshToken.slice(0, -2)}AA` }, {});
  await say('PUT', '/auth/password', { currentPassword: canary, newPassword: `${canary} of somebody` }, bearer(other.token));
  await say('POST', '/auth/email', { newEmail: person.email, password: other.password }, bearer(other.token));
  await say('GET', `/%0a%0d${canary}%1b[31m${encodeURIComponent(person.email)}%E2%80%A8{"level":60}`, undefined, {});
  await say('GET', `/auth/confirm/%0a${canary}%1b%E2%80%A8`, undefined, {});
  await eventually('all of it is logged', () => requestsIn(service).length - before >= texts.length);
  const sent = [person, other].flatMap(({ email, password }) => [email, password]);
  return {
    count: requestsIn(service).length - before,
    texts,
    sent: [...sent, ...Object.values(session).map(String), ...Object.values(mailed)],
  };
}

/** Makes every statement of a service fail so, until it is told otherwise; those who ask a pool get no connection. */
function breakDatabase(service: Service): (failure: Error | undefined) => void {
  const { $client: client } = service.app.services.db as unknown as { $client: Record<string, (...args: unknown[]) => unknown> };
  let failure: Error | undefined;
  for (const name of ['connect', 'query', 'transaction'].filter((each) => client[each] !== undefined)) {
    const original = client[name]?.bind(client);
    client[name] = (...args) => {
      const callback = args.at(-1);
      if (failure === undefined) return original?.(...args);
      if (name === 'connect' && typeof callback === 'function') return callback(failure);
      return Promise.reject(failure);
    };
  }
  return (next) => {
    failure = next;
  };
}

t.test('X03 the log holds nothing that anybody sends or is sent, at its most talkative', async (t) => {
  const port = await freePort();
  const service = await startService(t, { LOG_LEVEL: 'trace', RATE_LIMIT: 'off', METRICS_PORT: String(port), AUTH_SECRET: secret });
  const base = await service.listen();
  const { count, texts, sent } = await sayEverything(service, base);
  t.strictSame(leaksOf(service.log, [...sent, secret]), []);
  t.equal(count, texts.length, 'each request is one line');
  t.ok(
    requestsIn(service).some(({ route, status }) => route === '/auth/confirm/:token' && status === 200),
    'links were followed',
  );
  for (const line of service.log) t.match(line, oneLine, 'it is one line, without control characters');

  const elsewhere = [`http://127.0.0.1:${port}/metrics`, `${base}/health/live`, `${base}/health/ready`, `${base}/problems/unconfirmed`];
  const told = await Promise.all(elsewhere.map(async (url) => (await fetch(url)).text()));
  t.match(told[0], /latchkey_mail_queued/);
  t.strictSame(
    leaksOf([...told, ...texts.filter((text) => text.startsWith('{"type":"/problems/'))], [...sent, secret]),
    [],
    'nor do metrics, probes and problems',
  );
  t.ok(texts.filter((text) => text.startsWith('{"type":"/problems/')).length > 100, 'there were problems');
});

t.test('X03 bytes that are no request leave no trace in the log, and what comes after them is logged', async (t) => {
  const service = await startService(t, { LOG_LEVEL: 'trace' });
  const base = await service.listen();
  const lines = [
    `${canary} ${canary}\r\n\r\n`,
    `GET /${canary} HTTP/9.9\r\n\r\n`,
    `GET /\u001b[2J${canary} HTTP/1.1\r\nHost: x\r\n\r\n`,
    `GET / HTTP/1.1\r\n${canary}\r\n\r\n`,
  ];
  for (const line of lines) t.match(await exchange(base, line), [{ status: 400 }]);
  t.equal((await fetch(`${base}/${canary}`)).status, 404);
  await eventually('the request is logged', () => requestsIn(service).length === 1);
  t.strictSame(leaksOf(service.log), []);
});

t.test('X03 a client cannot choose the id of its request, and finds that of the log in its answer', async (t) => {
  const service = await startService(t);
  const base = await service.listen();
  const ids = new Set<string>();
  for (const name of ['X-Request-Id', 'Request-Id', 'X-Correlation-Id', 'traceparent']) {
    const answer = await fetch(`${base}/nowhere`, { headers: { [name]: `${canary}"}\t{"level":60` } });
    const id = answer.headers.get('x-request-id') ?? '';
    t.match(id, /^[\da-f]{8}-[\da-f-]{27}$/);
    await eventually('it is logged under that id', () => requestsIn(service).some(({ reqId }) => reqId === id));
    ids.add(id);
  }
  t.equal(ids.size, 4, 'each has its own');
  t.strictSame(leaksOf(service.log), []);
});

t.test('X03 a mail server that names the recipient in its refusal is quoted without the name', async (t) => {
  const service = await startService(t, {
    SMTP_URL: (await startRefusingMailServer(t)).replace('://', `://somebody:${canary}@`),
    LOG_LEVEL: 'trace',
  });
  const { email } = await register(service);
  const refusals = () => linesOf(service).filter(({ msg }) => msg === 'a mail was not sent');
  await eventually('the mail is refused', () => refusals().length > 0);
  t.strictSame(leaksOf(service.log, [email]), []);
  t.type(refusals()[0]?.['reason'], 'string');
});

t.test('X03 a failure of the database is logged without the values that it is about', async (t) => {
  const service = await startService(t, { RATE_LIMIT: 'off' });
  const person = await register(service);
  const values = `${person.email} ${canary} ${person.password}`;
  const fail = breakDatabase(service);
  const failures = {
    '22P02': `invalid input syntax for type uuid: "${values}"`,
    '22021': `invalid byte sequence for encoding "UTF8": "${values}"`,
    '23505': 'duplicate key value violates unique constraint "users_email_key"',
    XX000: `unexpected ${person.email}`,
    '57P01': `postgres://latchkey:${'p4ssw0rd-of-it'}@db.example/latchkey is shutting down`,
  };
  for (const [code, message] of Object.entries(failures)) {
    fail(Object.assign(new Error(message), { code, detail: `Key (email)=(${person.email})`, parameters: [person.password] }));
    const answer = await service.post('/auth/login', { email: person.email, password: person.password });
    fail(undefined);
    t.ok(answer.status >= 500, `${code} is answered ${answer.status}`);
    t.strictSame(leaksOf([answer.text]), []);
    t.notMatch(answer.text, /users_email_key|duplicate|invalid input/);
    const [line] = linesOf(service).filter(({ err }) => (err as { code?: string } | undefined)?.code === code);
    t.ok(line, `${code} is logged`);
  }
  t.strictSame(leaksOf(service.log, [person.email, 'p4ssw0rd-of-it']), []);
  t.match(service.log.join(''), /users_email_key/, 'what is no value is in it');
  t.equal((await service.post('/auth/login', { email: person.email, password: person.password })).status, 200);
});

t.test('X03 whatever is logged, by whomever, loses its secrets and stays one line of JSON', async (t) => {
  const service = await startService(t, { LOG_LEVEL: 'trace' });
  const person = await register(service);
  const { accessToken, refreshToken } = await openSession(service, person);
  const secrets = [
    person.email,
    accessToken,
    refreshToken,
    '$argon2id$v=19$m=8,t=1,p=1$c2FsdA$aGFzaA',
    'smtps://user:pa55word@mail.example',
  ];
  const { log } = service.app;
  for (const each of secrets) {
    for (const text of [
      each,
      `<${each}>`,
      `a\n${each}\nb`,
      `"${each}"`,
      `\t${each}\u2028`,
      `\u001b[31m${each}\u009b`,
      `550 5.1.1 ${each}, no`,
    ]) {
      const before = service.log.length;
      log.error({ err: new Error(text) }, 'failed');
      log.error({ err: new Error(text) });
      log.error(new Error(text));
      log.warn({ reason: text, nested: { deep: [text] } }, text);
      t.strictSame(leaksOf(service.log.slice(before), [each]), []);
      for (const line of service.log.slice(before)) t.match(line, oneLine);
    }
  }
  linesOf(service);
  const before = service.log.length;
  const harmless = 'at open (node_modules/@fastify/cookie/plugin.js:1:2) of my-deployment-with-a-long-name-7f9c6d5b4-x2x4z-in-production';
  log.info(harmless);
  t.equal(linesOf(service).slice(before)[0]?.['msg'], harmless, 'what is none is left as it is');
  t.notMatch(JSON.stringify(logError(Object.assign(new Error(`for "${canary}"`), { code: '22P02' }))), canary);
});

t.test('X03 a test whose service logs a secret fails', async (t) => {
  /** What a service makes of a test that logs this. */
  async function outcome(line: string, env: Readonly<Record<string, string>> = {}): Promise<unknown[]> {
    const ends: (() => unknown)[] = [];
    const failures: unknown[] = [];
    const test = { teardown: (end: () => unknown) => ends.unshift(end), threw: (error: unknown) => failures.push(error) };
    const { env: rest } = service;
    const instance = await startInstance(test as unknown as Test, { ...rest, ...env, ...(await createDatabase(t)) });
    await instance.post('/auth/login', { email: 'ada@example.com', password: 'hunter2hunter2' });
    (instance.log as string[]).push(`${JSON.stringify({ msg: line })}\n`);
    for (const end of ends) await end();
    return failures;
  }
  const service = await startService(t, { LOG_LEVEL: 'silent' });
  const person = await register(service);
  const { accessToken, refreshToken } = await openSession(service, person);
  const secrets = [
    'hunter2hunter2',
    service.app.services.secrets[0],
    person.email,
    person.password,
    accessToken,
    refreshToken,
    canary,
    '$argon2id$v=19',
  ];
  const links = ['/auth/confirm/abc', 'set-cookie: access=x', 'Bearer abcdefgh', 'smtp://u:p@localhost'];
  const logged = [...secrets, ...links].join('\n');
  t.match(await outcome(logged), [Error]);
  for (const each of [...secrets.slice(2), ...links])
    t.equal(leaksOf([`{"msg":${JSON.stringify(`it was\n${each}`)}}`]).length > 0, true, `it finds ${each}`);
  t.match(await outcome('hunter2hunter2'), [/hunter2/], 'a password that was sent');
  t.match(await outcome(secret, { AUTH_SECRET: secret }), [Error], 'a secret that it is configured with');
  t.strictSame(await outcome('/auth/confirm/:token and /auth/confirm/resend'), [], 'what is none does not');
});
