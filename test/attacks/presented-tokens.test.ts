import { decodeJwt } from 'jose';
import t from 'tap';
import { setCookies } from '../support/cookies.ts';
import { listening } from '../support/listening.ts';
import { believedPerson, confirmationPath, logIn, openSession, register } from '../support/person.ts';
import { startService } from '../support/service.ts';
import { assertProblem, exchangeOne } from '../support/wire.ts';

t.test('how a token is presented', async (t) => {
  const service = await listening(await startService(t, { RATE_LIMIT: 'off', SESSION_PROTECTION: 'none' }));
  const { base } = service;
  const [person, other] = [await believedPerson(service), await believedPerson(service)];
  const { token } = person;
  const ask = (lines: readonly string[], target = '/secret') =>
    exchangeOne(base, [`GET ${target} HTTP/1.1`, 'Host: localhost', ...lines, 'Connection: close', '', ''].join('\r\n'));
  const forbidden = { status: 401, code: 'unauthenticated' };
  const ambiguous = { status: 400, code: 'ambiguous_credentials' };

  await t.test('J14 the header is read in one form, and the scheme in any case', async (t) => {
    for (const scheme of ['Bearer', 'bearer', 'BEARER', 'bEaReR']) {
      t.equal((await ask([`Authorization: ${scheme} ${token}`])).status, 200, scheme);
    }
    for (const name of ['authorization', 'AUTHORIZATION']) t.equal((await ask([`${name}: Bearer ${token}`])).status, 200, name);
    t.equal((await ask([`Authorization:\t Bearer ${token} \t`])).status, 200, 'space around a value is none of it');
    const forms = [
      `Bearer  ${token}`,
      `Bearer\t${token}`,
      `Bearer${token}`,
      `Bearer\u00a0${token}`,
      `Bearer=${token}`,
      `Bearer: ${token}`,
      `Bearer "${token}"`,
      `Bearer ${token},`,
      `Bearer ${token};`,
      `Bearer ${token} ${token}`,
      `Bearer ${token}, Bearer ${token}`,
      `Bearer ${token}, Basic x`,
      `Basic x, Bearer ${token}`,
      `Bearer Bearer ${token}`,
      `Bearer token="${token}"`,
      `Bearer`,
      '',
      token,
      `Token ${token}`,
      `JWT ${token}`,
      `DPoP ${token}`,
      `Basic ${Buffer.from(`${person.username}:${token}`).toString('base64')}`,
      `Basic ${Buffer.from(`${person.email}:${person.password}`).toString('base64')}`,
      `Веarer ${token}`,
    ];
    for (const form of forms) assertProblem(t, await ask([`Authorization: ${form}`]), forbidden);
    for (const line of [`Authorization : Bearer ${token}`, `Authorization: Bearer\u0000${token}`]) {
      assertProblem(t, await ask([line]), { status: 400, code: 'malformed_request' });
    }
    // A line that goes on in the next one (RFC 9112 §5.2): refused, or the second line is no credential.
    t.match((await ask(['Authorization: Bearer', ` ${token}`])).status, /^40[01]$/);
    for (const name of [
      'X-Authorization',
      'Proxy-Authorization',
      'X-Access-Token',
      'X-Auth-Token',
      'X-Forwarded-Authorization',
      'access',
      'Authentication',
    ]) {
      assertProblem(t, await ask([`${name}: Bearer ${token}`]), forbidden);
      assertProblem(t, await ask([`${name}: ${token}`]), forbidden);
    }
  });

  await t.test('J14 two credentials that differ are refused, in whatever order they come', async (t) => {
    const foreign = other.token;
    t.equal((await ask([`Cookie: access=${token}`])).status, 200);
    t.equal((await ask([`Authorization: Bearer ${token}`, `Cookie: access=${token}`])).status, 200, 'the same one twice is one');
    t.equal((await ask([`Cookie: access=${token}; access=${token}`])).status, 200);
    const pairs: string[][] = [
      [`Authorization: Bearer ${token}`, `Authorization: Bearer ${foreign}`],
      [`Authorization: Bearer ${foreign}`, `authorization: Bearer ${token}`],
      [`Authorization: Bearer ${token}`, `Authorization: Bearer ${token}`],
      [`Authorization: Bearer ${token}`, 'Authorization: Basic x'],
      ['Authorization: Basic x', `Authorization: Bearer ${token}`],
      ['Authorization: ', `Authorization: Bearer ${token}`],
      [`Authorization: Bearer ${token}`, `Cookie: access=${foreign}`],
      [`Cookie: access=${foreign}`, `Authorization: Bearer ${token}`],
      [`Authorization: Bearer ${token}`, 'Cookie: access='],
      [`Authorization: Bearer ${token}`, 'Cookie: access=forged'],
      ['Authorization: Bearer forged', `Cookie: access=${token}`],
      [`Cookie: access=${token}; access=${foreign}`],
      [`Cookie: access=${foreign}; other=1; access=${token}`],
      [`Cookie: access=${token}`, `Cookie: access=${foreign}`],
      [`Cookie: access=; access=${token}`],
      [`Cookie: access="${token}"; access=${token}`],
    ];
    for (const lines of pairs) {
      for (const target of ['/secret', '/auth/me', '/']) {
        const answer = await ask(lines, target);
        assertProblem(t, answer, ambiguous);
        t.notMatch(answer.body, new RegExp(`${person.username}|${other.username}`), 'and tells of neither');
      }
    }
    // What cannot be read was meant to be a credential: no cookie takes its place.
    for (const scheme of ['Basic x', 'Bearer', '', `Token ${token}`]) {
      assertProblem(t, await ask([`Authorization: ${scheme}`, `Cookie: access=${token}`]), forbidden);
    }
    for (const odd of [`Bearer  ${token}`, `Bearer "${token}"`, `Bearer ${token}, ${token}`, `bearer ${token}=`]) {
      assertProblem(t, await ask([`Authorization: ${odd}`, `Cookie: access=${token}`]), ambiguous);
    }
  });

  await t.test('J14 only the cookie of that name is looked at, and not on behalf of another site', async (t) => {
    for (const name of [
      'Access',
      'ACCESS',
      '__Host-access',
      '__Secure-access',
      'access ',
      'xaccess',
      'access_token',
      'session',
      'token',
      'refresh',
      '$access',
      'access%20',
    ]) {
      assertProblem(t, await ask([`Cookie: ${name}=${token}`]), forbidden);
    }
    for (const value of [
      `"${token}"`,
      encodeURIComponent(`${token} `),
      `${token}%00`,
      `Bearer ${token}`,
      `s:${token}`,
      `${token},${token}`,
    ]) {
      assertProblem(t, await ask([`Cookie: access=${value}`]), forbidden);
    }
    const out = (site: string) =>
      service.post('/auth/logout', undefined, { headers: { cookie: `access=${token}`, 'sec-fetch-site': site } });
    for (const site of ['cross-site', 'same-site']) {
      const { status, body } = await out(site);
      t.match({ status, body }, { status: 403, body: { code: 'cross_origin_rejected' } });
    }
    t.equal((await ask([`Cookie: access=${token}`])).status, 200, 'still logged in');
  });

  await t.test('J14 a token in the address or in a body is never a credential', async (t) => {
    const { accessToken, refreshToken } = await openSession(service, person);
    for (const name of [
      'access_token',
      'accessToken',
      'access',
      'token',
      'jwt',
      'bearer',
      'authorization',
      'Authorization',
      'session',
      'auth',
    ]) {
      for (const value of [accessToken, `Bearer%20${accessToken}`]) {
        t.equal((await ask([], `/secret?${name}=${value}`)).status, 401, `?${name}=`);
        t.equal((await ask([], `/secret?x=1&${name}[]=${value}`)).status, 401, `?${name}[]=`);
        assertProblem(t, await ask([], `/auth/me?${name}=${value}`), forbidden);
      }
      t.equal((await service.get(`/?${name}=${accessToken}`)).body.message, 'Hello, Stranger!');
      t.equal((await service.post('/auth/logout', { [name]: accessToken })).status, 401, `a body with ${name}`);
    }
    for (const target of [
      `/secret;access_token=${accessToken}`,
      `/secret/${accessToken}`,
      `/${accessToken}/secret`,
      `http://x:${accessToken}@localhost/secret`,
    ]) {
      t.match((await ask([], target)).status, /^40[0-4]$/, target.slice(0, 20));
    }
    const form = { 'content-type': 'application/x-www-form-urlencoded' };
    t.match((await service.request('POST', '/auth/logout', { headers: form, body: `access_token=${accessToken}` })).status, /^4(01|15)$/);
    t.equal((await service.post(`/auth/refresh?refreshToken=${refreshToken}`, {})).status, 401, 'a refresh token, neither');
    t.equal((await service.get('/secret', { token: accessToken })).status, 200, 'and the session is there');
    t.equal((await service.post('/auth/refresh', { refreshToken })).status, 200);
  });

  await t.test('J18 the tokens from before the confirmation pass right after it, by header and by cookie', async (t) => {
    const newcomer = await register(service);
    const [first, second] = [await logIn(service, newcomer), await logIn(service, newcomer)];
    const login = await service.post(
      '/auth/login',
      { email: newcomer.email, password: newcomer.password, transport: 'cookie' },
      { headers: { 'sec-fetch-site': 'same-origin' } },
    );
    const cookie = `access=${setCookies(login).find(({ name }) => name === 'access')?.value}`;
    for (const headers of [{ authorization: `Bearer ${first}` }, { authorization: `Bearer ${second}` }, { cookie }]) {
      t.equal((await service.get('/secret', { headers })).body.code, 'unconfirmed');
      t.equal((await service.get('/', { headers })).body.code, 'unconfirmed');
    }
    t.equal((await service.get(await confirmationPath(service, newcomer), { token: first })).status, 200);
    t.equal(decodeJwt(first)['confirmed'], false, 'it says the contrary');
    for (const headers of [{ authorization: `Bearer ${first}` }, { authorization: `Bearer ${second}` }, { cookie }]) {
      t.equal((await service.get('/secret', { headers })).status, 200);
      t.equal((await service.get('/', { headers })).body.message, `Hello, ${newcomer.username}!`);
      t.equal((await service.get('/auth/verify', { headers })).status, 204);
    }
    const stranger = await logIn(service, await register(service));
    t.equal((await service.get('/secret', { token: stranger })).status, 403, "nobody else's does");
  });
});
