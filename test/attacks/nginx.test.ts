import t, { type Test } from 'tap';
import { disableUser, requireNamedUser } from '../../src/administration/manage-user.ts';
import { startApplication } from '../support/application.ts';
import { eventually } from '../support/eventually.ts';
import { createHttpClient } from '../support/http.ts';
import { guardedLocations, noNginx, startNginx } from '../support/nginx.ts';
import { confirmationPath, confirmedPerson, logIn, register } from '../support/person.ts';
import { refused } from '../support/refusal.ts';
import { startService } from '../support/service.ts';
import { inviteVisitors } from '../support/visitors.ts';
import { exchangeOne, requestBytes } from '../support/wire.ts';

/** An application behind nginx, which asks the service about each request to it. */
async function startGuardedApplication(t: Test, asking?: string) {
  const service = await startService(t, { RATE_LIMIT: 'off', TRUSTED_PROXIES: '127.0.0.1/32' });
  const application = await startApplication(t);
  const base = await startNginx(t, guardedLocations(await service.listen(), application.base, asking));
  return { service: { ...service, ...createHttpClient(base) }, base, application };
}

t.test('an application behind nginx', { skip: noNginx }, async (t) => {
  const { service, base, application } = await startGuardedApplication(t);
  const visitors = await inviteVisitors(service);
  const { services } = service.app;

  t.test('W01 only a confirmed user reaches it; nobody else gets anything but 401 or 403', async (t) => {
    const person = await confirmedPerson(service);
    const newcomer = await register(service);
    const expected = [
      [undefined, 401],
      [await logIn(service, newcomer), 403],
      [visitors.disabled, 401],
      [visitors.loggedOut, 401],
      [visitors.deleted, 401],
      [`${person.token}x`, 401],
    ] as const;
    const before = application.passed.length;
    for (const [token, status] of expected) {
      for (const method of ['GET', 'HEAD', 'POST', 'DELETE', 'OPTIONS'] as const) {
        const answer = await service.request(method, '/page', token === undefined ? {} : { token });
        t.equal(answer.status, status, `${method} with ${token?.slice(-10)}`);
        t.notOk(answer.headers['location']);
        t.notOk(answer.headers['x-auth-user-id'], 'what the service tells its proxy is for the proxy');
      }
    }
    t.equal(application.passed.length, before, 'the application has heard of none of them');
    for (const method of ['GET', 'HEAD', 'POST', 'DELETE'] as const) {
      t.equal((await service.request(method, '/page', { token: person.token })).status, 200, method);
    }
    t.equal(application.passed.length, before + 4);
  });

  t.test('W01 a newcomer passes right after the confirmation, and not after the account is disabled', async (t) => {
    const newcomer = await register(service);
    const token = await logIn(service, newcomer);
    t.equal((await service.get('/page', { token })).status, 403);
    t.equal((await service.get(await confirmationPath(service, newcomer), { token })).status, 200);
    t.equal((await service.get('/page', { token })).status, 200);
    await disableUser(services, await requireNamedUser(services.db, newcomer.id));
    t.equal((await service.get('/page', { token })).status, 401);
  });

  t.test('W01 whatever a client sends as a credential, nginx never takes the answer for a fault or a yes', async (t) => {
    const { token } = await confirmedPerson(service);
    const credentials: Readonly<Record<string, string>>[] = [
      { authorization: 'Bearer' },
      { authorization: `Bearer ${'a'.repeat(3000)}` },
      { authorization: `Basic ${token}` },
      { authorization: `Bearer ${token} ${token}` },
      { authorization: `Bearer ${token}`, cookie: `access=${visitors.unconfirmed}` },
      { cookie: `access=${token}; access=${visitors.confirmed}` },
      { cookie: `access=%00; refresh=${token}` },
      { cookie: 'access=' },
      { cookie: `${'a=b; '.repeat(400)}access` },
      { authorization: 'Bearer \u00ff\u00fe' },
    ];
    for (const headers of credentials) {
      const { status } = await service.get('/page', { headers });
      t.equal(status, 401, JSON.stringify(headers).slice(0, 60));
    }
    for (const target of ['/page?a=%00', '/page%ff', '/page?access_token=x', `/${'a'.repeat(5000)}`]) {
      t.equal((await exchangeOne(base, requestBytes('GET', target))).status, 401, `${target.slice(0, 30)} is not the service's to judge`);
    }
    t.equal((await service.get('/page', { headers: { cookie: `access=${token}`, origin: 'https://evil.test' } })).status, 200);
  });

  t.test('W01 the question is no address of its own', async (t) => {
    for (const target of ['/verify', '/verify?x', '/%76erify']) t.equal((await exchangeOne(base, requestBytes('GET', target))).status, 404);
    refused(t, await service.post('/auth/verify', {}), 405, 'method_not_allowed');
  });

  t.test('W02 the application is told who it is by the service alone, however a client says otherwise', async (t) => {
    const person = await confirmedPerson(service);
    const lies = [
      'X-Auth-User-Id',
      'x-auth-user-id',
      'X-AUTH-USERNAME',
      'X-Auth-Username',
      'X-Auth-Email',
      'X-Auth-Role',
      'X_Auth_Role',
      'X_Auth_User_Id',
    ];
    const truth = { 'x-auth-user-id': person.id, 'x-auth-username': person.username, 'x-auth-email': person.email, 'x-auth-role': 'user' };
    for (const lie of lies) {
      const { status, body } = await service.get('/page', { token: person.token, headers: { [lie]: 'admin' } });
      t.equal(status, 200);
      t.match(body.headers, truth, lie);
      t.notMatch(JSON.stringify(body.headers), /"admin"/);
    }
    const twice = requestBytes('GET', '/page', { 'user-agent': 'node', authorization: `Bearer ${person.token}` });
    const answer = await exchangeOne(base, twice.replace('\r\n\r\n', '\r\nX-Auth-Role: admin\r\nx-auth-role: admin\r\n\r\n'));
    t.match(JSON.parse(answer.body).headers, truth, 'said twice');
    for (const lie of lies) {
      const before = application.passed.length;
      t.equal((await service.get('/page', { headers: { [lie]: person.id } })).status, 401, `${lie} is no session`);
      t.equal(
        (await service.get('/page', { token: visitors.unconfirmed, headers: { [lie]: person.id } })).status,
        403,
        `nor a confirmed one`,
      );
      t.equal(application.passed.length, before);
    }
  });

  t.test('W02 the service itself believes none of it either', async (t) => {
    const direct = createHttpClient(service.app.listeningOrigin);
    for (const name of ['X-Auth-User-Id', 'X-User-Id', 'X-Forwarded-User', 'Remote-User', 'X-Remote-User', 'X-Auth-Request-User']) {
      const headers = { [name]: (await register(service)).id, 'x-auth-role': 'admin' };
      for (const client of [direct, service]) refused(t, await client.get('/auth/verify', { headers }), 401, 'unauthenticated', name);
      refused(t, await service.get('/auth/me', { headers }), 401, 'unauthenticated', name);
      const admin = await direct.get('/auth/verify', {
        headers,
        token: await logIn(direct, await confirmedPerson({ ...service, ...direct })),
      });
      t.match({ status: admin.status, role: admin.headers['x-auth-role'] }, { status: 204, role: 'user' });
    }
  });

  t.test('W05 without a cache, a logout is known on the next request', async (t) => {
    const { token } = await confirmedPerson(service);
    t.equal((await service.get('/page', { token })).status, 200);
    t.equal((await service.post('/auth/logout', undefined, { token })).status, 204);
    t.equal((await service.get('/page', { token })).status, 401);
  });

  t.test('W01 an expired token does not pass', async (t) => {
    const { token } = await confirmedPerson(service);
    t.equal((await service.get('/page', { token })).status, 200);
    service.clock.advance({ seconds: 301 });
    t.equal((await service.get('/page', { token })).status, 401);
  });
});

t.test('W05 nginx keeps no answer, even where it is told to cache what may be', { skip: noNginx }, async (t) => {
  // What an answer says of itself comes before this.
  const { service, application } = await startGuardedApplication(
    t,
    'proxy_cache answers; proxy_cache_key "$http_authorization$http_cookie"; proxy_cache_valid any 1h;',
  );
  const { token } = await confirmedPerson(service);
  for (let count = 1; count <= 3; count += 1) {
    t.equal((await service.get('/page', { token })).status, 200);
    t.equal(application.passed.length, count);
  }
  t.equal((await service.post('/auth/logout', undefined, { token })).status, 204);
  t.equal((await service.get('/page', { token })).status, 401);
  const other = await confirmedPerson(service);
  t.equal((await service.get('/page', { token: other.token })).status, 200, 'others pass as before');
});

t.test('W04 nobody passes while the service is away', { skip: noNginx }, async (t) => {
  const { service, application } = await startGuardedApplication(t);
  const { token } = await confirmedPerson(service);
  t.equal((await service.get('/page', { token })).status, 200);
  const before = application.passed.length;
  await service.app.close();
  await eventually('nginx has noticed', async () => (await service.get('/page', { token })).status === 500);
  for (const [method, path] of [
    ['GET', '/page'],
    ['POST', '/'],
    ['HEAD', '/page'],
  ] as const) {
    t.equal((await service.request(method, path, { token })).status, 500, `${method} ${path}`);
  }
  t.equal(application.passed.length, before);
});
