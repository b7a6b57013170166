import t, { type Test } from 'tap';
import { cookieHeader, setCookies } from '../support/cookies.ts';
import { confirmedPerson, type Person, register } from '../support/person.ts';
import { refused } from '../support/refusal.ts';
import { type Service, startService } from '../support/service.ts';

const fromBrowser = { 'sec-fetch-site': 'same-origin' };
const flags = { HttpOnly: '', Path: '/', SameSite: 'Lax' };

function actionsOf(service: Service) {
  const byCookie = (cookie: string) => ({ headers: { ...fromBrowser, cookie } });
  return {
    logIn: ({ email, password }: Pick<Person, 'email' | 'password'>, { rememberMe = false, headers = {} } = {}) =>
      service.post('/auth/login', { email, password, rememberMe, transport: 'cookie' }, { headers: { ...fromBrowser, ...headers } }),
    refresh: (cookie: string, body?: unknown) => service.post('/auth/refresh', body, byCookie(cookie)),
    logOut: (cookie: string) => service.post('/auth/logout', undefined, byCookie(cookie)),
    me: (cookie: string) => service.get('/auth/me', byCookie(cookie)),
  };
}

t.test('cookies over http', async (t) => {
  const service = await startService(t);
  const { logIn, refresh, logOut, me } = actionsOf(service);
  const [person, other] = [await register(service), await register(service)];

  async function open(someone: Person = person, rememberMe = false) {
    const answer = await logIn(someone, { rememberMe });
    const [access, refreshing] = setCookies(answer).map((cookie) => cookieHeader([cookie]));
    return { sessionId: answer.body.session.id as string, access: access ?? '', refresh: refreshing ?? '' };
  }

  const warnings = () => service.log.filter((line) => JSON.parse(line).level === 40 && line.includes('Secure')).length;
  t.test('the first of them brings a warning that they are not secure, and no other does', async (t) => {
    await service.post('/auth/login', { email: person.email, password: person.password });
    t.equal(warnings(), 0, 'none without cookies');
    await logIn(person);
    t.equal(warnings(), 1);
    await logIn(person);
    t.equal(warnings(), 1);
  });

  t.test('L08: the tokens come in cookies, and nowhere else', async (t) => {
    const answer = await logIn(person);
    t.equal(answer.status, 200);
    t.match(answer.headers, { 'content-type': /^application\/json/, 'cache-control': 'no-store' });
    t.strictSame(Object.keys(answer.body).sort(), ['expiresIn', 'session', 'tokenType', 'user']);
    const cookies = setCookies(answer);
    t.strictSame(
      cookies.map(({ name, attributes }) => ({ name, attributes })),
      [
        { name: 'access', attributes: flags },
        { name: 'refresh', attributes: flags },
      ],
      'they go with the browser, and http needs no Secure',
    );
    for (const { value } of cookies) {
      t.match(value, /^[\w.-]{40,}$/);
      t.notOk(answer.text.includes(value));
    }
    const { headers, body } = await service.post('/auth/login', { email: person.email, password: person.password });
    t.notOk(headers['set-cookie'], 'who asks for no cookies gets none');
    t.ok(body.accessToken);
  });

  t.test('a failed login sets no cookies', async (t) => {
    const answer = await logIn({ ...person, password: 'not the password' });
    refused(t, answer, 401, 'invalid_credentials');
    t.notOk(answer.headers['set-cookie']);
  });

  t.test('the access cookie lets in, the refresh cookie does not', async (t) => {
    const confirmed = await confirmedPerson(service);
    const cookies = await open(confirmed);
    const headers = (cookie: string) => ({ headers: { cookie } });
    t.equal((await service.get('/secret', headers(cookies.access))).status, 200);
    t.equal((await service.get('/secret', headers(`theme=dark; ${cookies.access};${cookies.refresh}; x`))).status, 200);
    refused(t, await service.get('/secret', headers(cookies.refresh)), 401, 'unauthenticated');
    const swapped = `${cookies.refresh.replace('refresh=', 'access=')}; ${cookies.access.replace('access=', 'refresh=')}`;
    refused(t, await service.get('/secret', headers(swapped)), 401, 'unauthenticated', 'the wrong way round');
    refused(t, await refresh(swapped), 401, 'invalid_refresh_token', 'the wrong way round');
    for (const name of ['Access', 'xaccess', 'access ', '__Host-access', '"access"']) {
      const renamed = cookies.access.replace('access', name);
      refused(t, await service.get('/secret', headers(renamed)), 401, 'unauthenticated', `a cookie called ${name}`);
    }
  });

  t.test('a refresh answers the way that the token came', async (t) => {
    const cookies = await open();
    const byCookie = await refresh(cookies.refresh);
    t.equal(byCookie.status, 200);
    t.strictSame(Object.keys(byCookie.body).sort(), ['expiresIn', 'session', 'tokenType', 'user']);
    const [access, next] = setCookies(byCookie);
    t.match(
      [access, next],
      [
        { name: 'access', attributes: flags },
        { name: 'refresh', attributes: flags },
      ],
    );
    t.not(`refresh=${next?.value}`, cookies.refresh);
    t.equal((await me(cookieHeader(access ? [access] : []))).status, 200);

    const byBody = await service.post('/auth/refresh', { refreshToken: next?.value });
    t.equal(byBody.status, 200);
    t.notOk(byBody.headers['set-cookie']);
    t.match(byBody.body, { accessToken: String, refreshToken: String, session: { id: cookies.sessionId } });
  });

  t.test('a refresh with a token in the body and another in a cookie is refused', async (t) => {
    const [first, second] = [await open(), await open(other)];
    const refreshToken = second.refresh.replace('refresh=', '');
    refused(t, await refresh(first.refresh, { refreshToken }), 400, 'ambiguous_credentials');
    const both = await refresh(second.refresh, { refreshToken });
    t.equal(both.status, 200, 'the same one twice is one');
    t.notOk(both.headers['set-cookie'], 'and the body was asked');
    t.equal((await refresh(first.refresh)).status, 200, 'neither was spent');
    refused(t, await service.post('/auth/refresh'), 401, 'invalid_refresh_token', 'none at all');
    refused(t, await refresh('theme=dark'), 401, 'invalid_refresh_token', 'some other cookie');
  });

  t.test('J14: two credentials that differ are refused, wherever they stand', async (t) => {
    const [first, second] = [await open(), await open(other)];
    const token = first.access.replace('access=', '');
    const get = (cookie: string) => service.get('/auth/me', { token, headers: { cookie } });
    refused(t, await get(second.access), 400, 'ambiguous_credentials', 'a bearer token and a cookie');
    t.equal((await get(first.access)).status, 200, 'the same session twice');
    refused(t, await me(`${first.access}; ${second.access}`), 400, 'ambiguous_credentials', 'two access cookies');
    refused(t, await me(`${second.access}; ${first.access}`), 400, 'ambiguous_credentials', 'in the other order');
    refused(t, await me(`access=; ${first.access}`), 400, 'ambiguous_credentials', 'an empty one beside it');
    t.equal((await me(`${first.access}; ${first.access}`)).status, 200, 'the same cookie twice');
    refused(t, await refresh(`${first.refresh}; ${second.refresh}`), 400, 'ambiguous_credentials', 'two refresh cookies');
    t.equal((await refresh(first.refresh)).status, 200);
    const basic = await service.get('/auth/me', { headers: { cookie: second.access, authorization: 'Basic eDp5' } });
    refused(t, basic, 401, 'unauthenticated', 'a cookie does not stand in for a header that cannot be read');
  });

  t.test('F05: logout ends the session and clears exactly the cookies that were set', async (t) => {
    const cookies = await open();
    const answer = await logOut(cookies.access);
    t.equal(answer.status, 204);
    assertCleared(t, answer, ['access', 'refresh'], flags);
    refused(t, await me(cookies.access), 401, 'unauthenticated');
    refused(t, await logOut(cookies.access), 401, 'unauthenticated');
    refused(t, await refresh(cookies.refresh), 401, 'invalid_refresh_token');
  });

  t.test('ending the own session clears its cookies, ending another one does not', async (t) => {
    const [own, another] = [await open(), await open()];
    const end = (id: string) => service.request('DELETE', `/auth/sessions/${id}`, { headers: { ...fromBrowser, cookie: own.access } });
    const endedOther = await end(another.sessionId);
    t.equal(endedOther.status, 204);
    t.notOk(endedOther.headers['set-cookie']);
    refused(t, await me(another.access), 401, 'unauthenticated');
    const endedOwn = await end(own.sessionId);
    t.equal(endedOwn.status, 204);
    assertCleared(t, endedOwn, ['access', 'refresh'], flags);
    refused(t, await me(own.access), 401, 'unauthenticated');
  });

  t.test('L05: a login with planted cookies opens another session, and leaves them worthless', async (t) => {
    for (const planted of ['access=fixed; refresh=fixed', `${(await open(other)).access}; ${(await open(other)).refresh}`]) {
      const answer = await logIn(person, { headers: { cookie: planted } });
      t.equal(answer.status, 200);
      t.equal(answer.body.user.id, person.id);
      const [access, refreshing] = setCookies(answer);
      for (const value of [access?.value, refreshing?.value]) t.notOk(planted.includes(value ?? 'none'));
      t.equal((await me(`access=${access?.value}`)).body.user.id, person.id);
      if (planted.includes('fixed')) {
        refused(t, await me(planted), 401, 'unauthenticated');
        refused(t, await refresh(planted), 401, 'invalid_refresh_token');
      } else t.equal((await me(planted)).body.user.id, other.id, 'they stand for whom they stood for');
    }
  });

  t.test('the cookies of a remembered session stay as long as what they hold', async (t) => {
    const idleSeconds = 7 * 86_400;
    const answer = await logIn(person, { rememberMe: true });
    assertKept(t, answer, idleSeconds);
    let refreshing = cookieHeader(setCookies(answer).slice(1));
    for (const daysLeft of [7, 7, 7, 6]) {
      service.clock.advance({ days: 6 });
      const refreshed = await refresh(refreshing);
      t.equal(refreshed.status, 200);
      assertKept(t, refreshed, daysLeft * 86_400);
      refreshing = cookieHeader(setCookies(refreshed).slice(1));
    }
  });
});

t.test('cookies over https', async (t) => {
  const service = await startService(t, { PUBLIC_URL: 'https://accounts.example.com', TRUSTED_PROXIES: '127.0.0.1' });
  const { logIn, refresh, logOut, me } = actionsOf(service);
  const username = 'u'.repeat(64);
  const domain = `${['d', 'e', 'f'].map((letter) => letter.repeat(60)).join('.')}.com`;
  const longest = { email: `${'l'.repeat(64)}@${domain}`, username, password: 'the longest names that there are' };
  const person = await register(service, longest);
  const secureFlags = { ...flags, Secure: '' };

  t.test('B06: no other host can plant them, no other site and no script gets them', async (t) => {
    for (const rememberMe of [false, true]) {
      const answer = await logIn(person, { rememberMe });
      t.equal(answer.status, 200);
      const cookies = setCookies(answer);
      t.strictSame(
        cookies.map(({ name }) => name),
        ['__Host-access', '__Host-refresh'],
      );
      for (const { name, attributes, bytes } of cookies) {
        const { 'Max-Age': maxAge, ...others } = attributes;
        t.strictSame(others, secureFlags, name);
        t.equal(maxAge !== undefined, rememberMe);
        t.ok(bytes < 4096, `${name} has ${bytes} bytes`);
      }
      t.equal((await me(cookieHeader(cookies))).status, 200);
      const refreshed = await refresh(cookieHeader(cookies));
      t.match(setCookies(refreshed), [
        { name: '__Host-access', attributes: secureFlags },
        { name: '__Host-refresh', attributes: secureFlags },
      ]);
    }
    t.notOk(
      service.log.some((line) => line.includes('Secure')),
      'there is nothing to warn of',
    );
  });

  t.test('H03: they stay secure whatever a proxy says of the connection', async (t) => {
    const answer = await logIn(person, { headers: { 'x-forwarded-proto': 'http', 'x-forwarded-host': 'evil.test' } });
    for (const { name, attributes } of setCookies(answer)) {
      t.match(name, /^__Host-/);
      t.strictSame(attributes, secureFlags);
    }
    t.equal(setCookies(answer).length, 2);
  });

  t.test('cookies without the prefix, which another host could plant, are not looked at', async (t) => {
    const cookies = setCookies(await logIn(person));
    const planted = cookieHeader(cookies).replaceAll('__Host-', '');
    refused(t, await me(planted), 401, 'unauthenticated');
    refused(t, await refresh(planted), 401, 'invalid_refresh_token');
    t.equal((await me(`access=fixed; ${cookieHeader(cookies)}; refresh=fixed`)).status, 200);
  });

  t.test('F05: they are cleared with the attributes that they were set with', async (t) => {
    const answer = await logOut(cookieHeader(setCookies(await logIn(person))));
    t.equal(answer.status, 204);
    assertCleared(t, answer, ['__Host-access', '__Host-refresh'], secureFlags);
  });
});

type Answered = Parameters<typeof setCookies>[0];

function assertCleared(t: Test, answer: Answered, names: string[], attributes: object): void {
  const cleared = setCookies(answer).map(({ name, value, attributes: { Expires, ...others } }) => ({
    name,
    value,
    over: Date.parse(Expires ?? '') < Date.now(),
    others,
  }));
  const expected = names.map((name) => ({ name, value: '', over: true, others: { 'Max-Age': '0', ...attributes } }));
  t.strictSame(cleared, expected);
}

/** To the minute: the clock runs. */
function assertKept(t: Test, answer: Answered, refreshSeconds: number): void {
  const [access, refreshing] = setCookies(answer).map(({ attributes }) => Number(attributes['Max-Age']));
  t.equal(access, 300);
  t.ok(Math.abs((refreshing ?? 0) - refreshSeconds) < 60, `${refreshing} s, and ${refreshSeconds} were expected`);
}
