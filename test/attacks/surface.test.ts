import t from 'tap';
import { createForeignClient, createHttpClient } from '../support/http.ts';
import { confirmedPerson, logIn, register } from '../support/person.ts';
import { freePort } from '../support/process.ts';
import { refused } from '../support/refusal.ts';
import { startService } from '../support/service.ts';
import { assertProblem, exchange, exchangeOne, headersOfEveryAnswer, requestBytes } from '../support/wire.ts';

const noStore = { 'cache-control': 'no-store', 'x-content-type-options': 'nosniff' };
const guarded = ['/secret', '/auth/me', '/auth/sessions', '/admin/users', '/auth/password', '/auth/events'];

t.test('methods that ask for more than a resource', async (t) => {
  const service = await startService(t, { CORS_ORIGINS: 'https://good.test', RATE_LIMIT: 'off' });
  const base = await service.listen();
  const client = createHttpClient(base);
  const { token } = await confirmedPerson({ ...service, ...client });
  const session = { 'user-agent': 'node', authorization: `Bearer ${token}` };
  const preflight = (origin: string) => ({
    origin,
    'access-control-request-method': 'GET',
    'access-control-request-headers': 'authorization',
  });

  t.test('G07 TRACE sends nothing back, with a session or without', async (t) => {
    t.equal((await exchangeOne(base, requestBytes('GET', '/secret', session))).status, 200);
    for (const target of [...guarded, '/', '/auth/login', '/health/live', '/docs']) {
      for (const fields of [{}, session, { ...session, 'max-forwards': '0' }]) {
        const answer = await exchangeOne(base, requestBytes('TRACE', target, { ...fields, cookie: 'c4n4ry=1', 'x-c4n4ry': '1' }));
        assertProblem(t, answer, { status: 405, code: 'method_not_allowed' });
        t.notMatch(JSON.stringify(answer), new RegExp(`c4n4ry|${token.slice(-20)}`));
      }
    }
    assertProblem(t, await exchangeOne(base, requestBytes('TRACE', '/nowhere', session)), { status: 404, code: 'not_found' });
  });

  t.test('G07 CONNECT is refused, whatever it is for', async (t) => {
    for (const target of ['evil.test:443', 'localhost:5432', '127.0.0.1:25', '/secret', '*']) {
      const answers = await exchange(base, requestBytes('CONNECT', target, session));
      t.ok(
        answers.every(({ status }) => status >= 400),
        `CONNECT ${target}: ${answers.map(({ status }) => status)}`,
      );
    }
    t.equal((await client.get('/health/live')).status, 200, 'the service goes on');
  });

  t.test('G07 no connection becomes one of another protocol', async (t) => {
    for (const protocol of ['websocket', 'h2c', 'TLS/1.0']) {
      const fields = {
        connection: 'Upgrade, close',
        upgrade: protocol,
        'sec-websocket-key': 'dGhlIHNhbXBsZSBub25jZQ==',
        'sec-websocket-version': '13',
      };
      assertProblem(t, await exchangeOne(base, requestBytes('GET', '/secret', fields)), { status: 401, code: 'unauthenticated' });
      t.equal(
        (await exchangeOne(base, requestBytes('GET', '/secret', { ...session, ...fields }))).status,
        200,
        `${protocol} is passed over`,
      );
    }
  });

  t.test('G07 OPTIONS of a guarded route shows no data, and is the same with a session and without', async (t) => {
    for (const target of guarded) {
      const answers = [
        await exchangeOne(base, requestBytes('OPTIONS', target)),
        await exchangeOne(base, requestBytes('OPTIONS', target, session)),
      ];
      for (const answer of answers) assertProblem(t, answer, { status: 405, code: 'method_not_allowed' });
      t.equal(answers[0]?.body, answers[1]?.body);
    }
  });

  t.test('G07 a preflight is answered with CORS for a listed origin only, and with nothing else', async (t) => {
    for (const target of guarded) {
      const listed = await exchangeOne(base, requestBytes('OPTIONS', target, { ...preflight('https://good.test'), ...session }));
      t.match(listed, { status: 204, body: '', headers: { 'access-control-allow-origin': 'https://good.test', ...headersOfEveryAnswer } });
      for (const origin of ['https://evil.test', 'null']) {
        const answer = await exchangeOne(base, requestBytes('OPTIONS', target, { ...preflight(origin), ...session }));
        assertProblem(t, answer, { status: 405, code: 'method_not_allowed' });
        const granted = Object.keys(answer.headers).filter((name) => name.startsWith('access-control-'));
        t.strictSame(granted, [], `${target} from ${origin}`);
      }
    }
  });
});

t.test('G10 only what is meant for the public is there', async (t) => {
  const port = await freePort();
  const service = await startService(t, { METRICS_PORT: String(port), RATE_LIMIT: 'off' });
  const base = await service.listen();
  const client = createHttpClient(base);
  const person = await register(client);
  const [unconfirmed, confirmed] = [await logIn(client, person), (await confirmedPerson({ ...service, ...client })).token];

  t.test('G10 no file, page or interface of the works', async (t) => {
    const paths = `/.git /.git/config /.git/HEAD /.env /.env.example /.npmrc /.latchkey /.latchkey/secret /.DS_Store /package.json
      /package-lock.json /node_modules /node_modules/fastify/package.json /src/app.ts /dist/server.js /Dockerfile /docker-compose.yml
      /migrations/0000_accounts.sql /metrics /health /health?verbose /healthz /status /server-status /debug /debug/pprof /actuator
      /actuator/env /phpinfo.php /graphql /admin /console /swagger /swagger.json /api-docs /dev /dev/mail /dev/mail/x /backup.sql
      /robots.txt /.well-known/openid-configuration /docs/static/../../package.json /docs/static/%2e%2e/%2e%2e/package.json
      /docs/static/..%2f..%2fpackage.json /docs/static/%5c..%5cpackage.json /docs/static/.env`;
    for (const path of paths.split(/\s+/)) {
      for (const fields of [{}, { 'user-agent': 'node', authorization: `Bearer ${confirmed}` }]) {
        const { status, headers, body } = await exchangeOne(base, requestBytes('GET', path, fields));
        t.match({ status, problem: JSON.parse(body), headers }, { status: 404, problem: { code: 'not_found' }, headers: noStore }, path);
      }
    }
  });

  t.test('G10 a probe says whether it is well, and no more when it is asked for more', async (t) => {
    for (const [path, body] of [
      ['/health/live', { status: 'ok' }],
      ['/health/ready', { status: 'ok', database: 'ok', migrations: 'ok', signing_key: 'ok', mail: 'ok' }],
    ] as const) {
      for (const query of ['', '?verbose', '?verbose=true&details=1', '?full']) {
        for (const token of [undefined, unconfirmed, confirmed]) {
          t.strictSame((await client.get(path + query, token === undefined ? {} : { token })).body, body, path + query);
        }
      }
    }
  });

  t.test('G10 the document and its page tell of the interface, not of what it is made of', async (t) => {
    for (const path of ['/openapi.json', '/docs/json', '/docs', '/docs/', '/']) {
      const { status, headers, text } = await client.get(path);
      t.equal(status, 200, path);
      t.notMatch(text, /fastify|drizzle|pglite|typebox|node_modules|node\.js|\bv?\d+\.\d+\.\d+-\w|\/(?:home|work|tmp|root|usr)\//i, path);
      t.strictSame(
        Object.keys(headers).filter((name) => /^server$|powered|version|runtime/.test(name)),
        [],
      );
    }
    const { info, paths } = (await client.get('/openapi.json')).body;
    t.equal(info.version, '1.0.0', 'the version is that of the interface');
    t.notOk(Object.keys(paths).some((path) => /metrics|dev\/mail|docs|openapi/.test(path)));
  });

  t.test('G10 the files of the page are those that a browser needs for it', async (t) => {
    const { text } = await client.get('/docs');
    const files = [...text.matchAll(/(?:src|href)="\.?\/?([^"]+)"/g)].map(([, file]) => new URL(file as string, `${base}/`).pathname);
    t.ok(files.length > 3);
    for (const file of files) t.equal((await client.get(file)).status, 200, file);
    refused(t, await client.get('/docs/static/package.json'), 404, 'not_found');
    refused(t, await client.get('/docs/static/swagger-ui.css.map'), 404, 'not_found', 'a source map');
  });

  t.test('G10 the numbers are on a port of their own, and nothing else is', async (t) => {
    const operator = createForeignClient(`http://127.0.0.1:${port}`);
    t.match(await operator.get('/metrics'), { status: 200, text: /latchkey_mail_queued/ });
    for (const path of ['/', '/metrics/', '/auth/me', '/secret', '/openapi.json', '/health/live', '/..', '/metrics/../secret?']) {
      refused(t, await operator.get(path, { token: confirmed }), 404, 'not_found', path);
    }
    t.equal((await operator.post('/metrics', {})).status, 404);
    const numbers = (await operator.get('/metrics')).text;
    for (const personal of [person.email, person.username, person.id, '@example.com']) t.notOk(numbers.includes(personal));
  });
});
