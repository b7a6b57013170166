import t from 'tap';
import { logIn, register } from '../support/person.ts';
import { refused } from '../support/refusal.ts';
import { answerHead, formPaths, type Method, methods, open, takeForms } from '../support/routes.ts';
import { startService } from '../support/service.ts';

/** Its answer to whoever it lets in does not end while they wait. */
const stream = 'GET /auth/confirm/events';
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
    for (const { method, path, name } of operations.filter((operation) => operation.name !== stream)) {
      const answer = await visit(method, path, unconfirmed);
      if (letIn.some((operation) => operation.name === name))
        t.notOk([401, 403].includes(answer.status), `${name} lets in (${answer.status})`);
      else refused(t, answer, 403, 'unconfirmed', name);
    }
    const headers = { authorization: `Bearer ${unconfirmed}` };
    const answer = await service.app.inject({ url: stream.replace('GET ', ''), headers, payloadAsStream: true });
    t.equal(answer.statusCode, 200, `${stream} lets in`);
    answer.stream().destroy();
    t.equal((await service.get('/auth/me', { token: unconfirmed })).status, 200, 'the session has lived through it');
  });

  t.test('G01: answers no method that it does not have, to anybody', async (t) => {
    for (const path of Object.keys(paths)) {
      const own: Method[] = operations.filter((operation) => operation.path === path).map(({ method }) => method);
      if (answerHead.includes(path)) own.push('HEAD');
      if (takeForms.includes(path)) own.push('POST');
      const allow = own.toSorted().join(', ');
      for (const method of methods.filter((each) => !own.includes(each))) {
        const answers = [await visit(method, path), await visit(method, path, unconfirmed)];
        const expected = { status: 405, headers: { allow, 'content-type': /^application\/problem\+json/ } };
        t.match(answers, [expected, expected], `${method} ${path}`);
        if (method !== 'HEAD') t.match(answers, [{ body: { code: 'method_not_allowed' } }, { body: { code: 'method_not_allowed' } }]);
      }
    }
  });

  t.test('G01: that takes the form of a page takes nothing else, and no other method', async (t) => {
    for (const path of formPaths) {
      t.notOk(paths[path]?.post, `the document leaves out ${path}`);
      refused(t, await visit('POST', path), 415, 'unsupported_media_type', path);
      refused(t, await visit('PUT', path), 405, 'method_not_allowed', path);
    }
  });

  t.test('G01: that the document leaves out is a page about the service, and nothing else', async (t) => {
    const hidden = ['/openapi.json', '/pages.css', '/docs', '/docs/static/index.html', '/docs/json', '/docs/yaml'];
    for (const path of hidden) t.ok((await service.get(path)).status < 400, path);
    for (const path of ['/dev/mail', '/metrics', '/admin', '/.env', '/.git/config', '/docs/static/../../package.json', '/health']) {
      refused(t, await service.get(path), 404, 'not_found', path);
    }
  });
});
