import t from 'tap';
import { logIn, register } from '../support/person.ts';
import { refused } from '../support/refusal.ts';
import { startService } from '../support/service.ts';

type Method = 'GET' | 'HEAD' | 'POST' | 'PUT' | 'PATCH' | 'DELETE' | 'OPTIONS';
const methods: readonly Method[] = ['GET', 'HEAD', 'POST', 'PUT', 'PATCH', 'DELETE', 'OPTIONS'];

/** Who else than the confirmed may use what. A route that is opened must be entered here, or the tests below refuse it. */
const open = {
  public: [
    'GET /.well-known/jwks.json',
    'GET /auth/confirm/{token}',
    'GET /health/live',
    'GET /health/ready',
    'GET /problems/{code}',
    'POST /auth/confirm',
    'POST /auth/login',
    'POST /auth/refresh',
    'POST /auth/register',
  ],
  visitor: ['GET /'],
  session: [
    'DELETE /auth/sessions',
    'DELETE /auth/sessions/{id}',
    'GET /auth/me',
    'GET /auth/sessions',
    'GET /auth/unconfirmed',
    'POST /auth/confirm/resend',
    'POST /auth/logout',
  ],
};
/** Probes may ask for the head alone, which the document need not say. */
const answerHead = ['/.well-known/jwks.json', '/health/live', '/health/ready'];
const samples: Record<string, string> = { token: 'x', code: 'unconfirmed' };

t.test('every route', async (t) => {
  const service = await startService(t);
  const unconfirmed = await logIn(service, await register(service));
  const paths = service.app.swagger().paths ?? {};
  const operations = Object.entries(paths).flatMap(([path, item]) =>
    methods.filter((method) => item && method.toLowerCase() in item).map((method) => ({ method, path, name: `${method} ${path}` })),
  );
  const named = (list: readonly string[]) => operations.filter(({ name }) => list.includes(name));
  /** With a body that no route accepts, so that whoever is let in changes nothing. */
  const visit = (method: Method, path: string, token?: string) =>
    service.request(
      method,
      path.replace(/\{(\w+)\}/g, (_, name) => samples[name] ?? 'x'),
      {
        ...(token !== undefined && { token }),
        ...(!['GET', 'HEAD'].includes(method) && { body: { unheardOf: true } }),
      },
    );

  t.test('is either listed as open, or closed', async (t) => {
    for (const list of Object.values(open)) {
      t.strictSame(
        list.filter((name) => !operations.some((operation) => operation.name === name)),
        [],
        'the list names existing routes only',
      );
    }
    t.ok(operations.some(({ name }) => name === 'GET /secret'));
  });

  t.test('G01: is closed to the anonymous, if it is not public', async (t) => {
    const letIn = named([...open.public, ...open.visitor]);
    for (const { method, path, name } of operations) {
      const answer = await visit(method, path);
      if (letIn.some((operation) => operation.name === name)) {
        // The link's own handler asks for a session once the token is genuine, which this one is not.
        t.notOk([401, 403].includes(answer.status), `${name} lets in (${answer.status})`);
      } else {
        refused(t, answer, 401, 'unauthenticated', name);
        t.equal(answer.headers['www-authenticate'], 'Bearer');
      }
    }
  });

  t.test('G02: is closed to the unconfirmed, if it is neither public nor for sessions', async (t) => {
    const letIn = named([...open.public, ...open.session]);
    for (const { method, path, name } of operations) {
      const answer = await visit(method, path, unconfirmed);
      if (letIn.some((operation) => operation.name === name))
        t.notOk([401, 403].includes(answer.status), `${name} lets in (${answer.status})`);
      else refused(t, answer, 403, 'unconfirmed', name);
    }
    t.equal((await service.get('/auth/me', { token: unconfirmed })).status, 200, 'the session has lived through it');
  });

  t.test('G01: answers no method that it does not have, to anybody', async (t) => {
    for (const path of Object.keys(paths)) {
      const own: Method[] = operations.filter((operation) => operation.path === path).map(({ method }) => method);
      if (answerHead.includes(path)) own.push('HEAD');
      const allow = own.toSorted().join(', ');
      for (const method of methods.filter((each) => !own.includes(each))) {
        const answers = [await visit(method, path), await visit(method, path, unconfirmed)];
        const expected = { status: 405, headers: { allow, 'content-type': /^application\/problem\+json/ } };
        t.match(answers, [expected, expected], `${method} ${path}`);
        if (method !== 'HEAD') t.match(answers, [{ body: { code: 'method_not_allowed' } }, { body: { code: 'method_not_allowed' } }]);
      }
    }
  });

  t.test('G01: that the document leaves out is a page about the service, and nothing else', async (t) => {
    const hidden = ['/openapi.json', '/docs', '/docs/static/index.html', '/docs/json', '/docs/yaml'];
    for (const path of hidden) t.ok((await service.get(path)).status < 400, path);
    for (const path of ['/dev/mail', '/metrics', '/admin/users', '/.env', '/.git/config', '/docs/static/../../package.json', '/health']) {
      refused(t, await service.get(path), 404, 'not_found', path);
    }
  });
});
