import { decodeJwt } from 'jose';
import t, { type Test } from 'tap';
import { users } from '../../src/db/schema.ts';
import { cookieHeader, setCookies } from '../support/cookies.ts';
import { holdClock, outboxEmpty } from '../support/held-clock.ts';
import { startHttpService } from '../support/http.ts';
import { browserAccept } from '../support/pages.ts';
import { confirmationPath, confirmationToken, confirmedPerson, logIn, openSession, register } from '../support/person.ts';
import { refused } from '../support/refusal.ts';
import { openTables } from '../support/tables.ts';

const own = { 'sec-fetch-site': 'same-origin' };

t.test('confirmations', async (t) => {
  const service = await startHttpService(t, { RATE_LIMIT: 'off' });
  const tables = openTables(t, service);
  const secret = async (token: string) => (await service.get('/secret', { token })).status;
  const rows = async () => (await tables.select().from(users)).sort((a, b) => a.id.localeCompare(b.id));
  /** Somebody who has just registered, with the link that was mailed and a session. */
  async function newcomer() {
    const person = await register(service);
    const link = await confirmationToken(service, person);
    return { ...person, link, path: `/auth/confirm/${link}`, ...(await openSession(service, person)) };
  }
  type Newcomer = Awaited<ReturnType<typeof newcomer>>;
  const byCookie = async ({ email, password }: Newcomer) => {
    const login = await service.post('/auth/login', { email, password, transport: 'cookie' }, { headers: own });
    return { ...own, cookie: cookieHeader(setCookies(login)) };
  };
  const eventsOf = async ({ accessToken: token }: Newcomer) => {
    const { events } = (await service.get('/auth/events', { token })).body;
    return events.map(({ type }: { type: string }) => type) as string[];
  };

  /** Every way to confirm that there is. */
  const ways: Record<string, (who: Newcomer) => ReturnType<typeof service.get>> = {
    'GET with the session': ({ path, accessToken: token }) => service.get(path, { token }),
    'GET with the cookie of the session': async (who) => service.get(who.path, { headers: await byCookie(who) }),
    'POST with the password': ({ link, password }) => service.post('/auth/confirm', { token: link, password }),
    'POST with the session': ({ link, accessToken: token }) => service.post('/auth/confirm', { token: link }, { token }),
    'POST with the cookie of the session': async (who) =>
      service.post('/auth/confirm', { token: who.link }, { headers: await byCookie(who) }),
    'POST with both': ({ link, password, accessToken: token }) => service.post('/auth/confirm', { token: link, password }, { token }),
  };

  t.test('C01 a link confirms with its session or its password, and sessions from before are let in on their next request', async (t) => {
    for (const [what, confirm] of Object.entries(ways)) {
      const who = await newcomer();
      const headers = await byCookie(who);
      t.strictSame([await secret(who.accessToken), (await service.get('/secret', { headers })).status], [403, 403], 'closed until then');
      const answer = await confirm(who);
      t.match(answer, { status: 200, body: { status: 'confirmed', user: { id: who.id, email: who.email, confirmed: true } } }, what);
      t.strictSame(Object.keys(answer.body).sort(), ['status', 'user']);
      t.strictSame([await secret(who.accessToken), (await service.get('/secret', { headers })).status], [200, 200], 'open at once');
      const verified = await service.get('/auth/verify', { token: who.accessToken });
      t.match(verified, { status: 204, headers: { 'x-auth-user-id': who.id } }, 'to a proxy, too');
    }
    const [who, other] = [await newcomer(), await newcomer()];
    refused(t, await service.get(who.path), 401, 'unauthenticated', 'the link alone');
    refused(t, await service.post('/auth/confirm', { token: who.link }), 401, 'unauthenticated', 'posted alone');
    const withOther = await service.post('/auth/confirm', { token: who.link, password: other.password });
    refused(t, withOther, 401, 'invalid_credentials', 'the password of somebody else');
    t.strictSame([await secret(who.accessToken), await secret(other.accessToken)], [403, 403], 'confirm nobody');
  });

  t.test('C02 a link that is used again changes nothing and opens nothing', async (t) => {
    for (const confirm of Object.values(ways)) {
      const who = await newcomer();
      t.match((await confirm(who)).body, { status: 'confirmed' });
      const before = await rows();
      const sessions = async () => (await service.get('/auth/sessions', { token: who.accessToken })).body.sessions.length;
      const open = await sessions();
      for (const [what, again] of Object.entries(ways).filter(([each]) => !each.includes('cookie'))) {
        const answer = await again(who);
        t.match(answer, { status: 200, body: { status: 'already_confirmed', user: { id: who.id, confirmed: true } } }, what);
        t.notOk(answer.headers['set-cookie']);
        t.notMatch(answer.text, /[tT]oken/);
      }
      t.strictSame(await rows(), before, 'not even the time of the confirmation');
      t.equal(await sessions(), open, 'there is no other session');
      t.equal((await eventsOf(who)).filter((type) => type === 'confirmed').length, 1, 'it has happened once');
      refused(t, await service.get(who.path), 401, 'unauthenticated', 'used or not, the link alone is nothing');
    }
  });

  t.test('C04 what does not come from a person changes nothing', async (t) => {
    const who = await newcomer();
    const before = await rows();
    for (const method of ['HEAD', 'OPTIONS'] as const) {
      for (const options of [{}, { token: who.accessToken }]) {
        const answer = await service.request(method, who.path, options);
        t.match([answer.status, answer.headers['set-cookie']], [405, undefined], `${method} with ${Object.keys(options)}`);
      }
    }
    const accepts: Record<string, string>[] = [{}, { accept: browserAccept }, { accept: 'application/json' }];
    const purposes: Record<string, string>[] = [{ purpose: 'prefetch' }, { 'sec-purpose': 'prefetch' }, { 'x-moz': 'prefetch' }];
    const ahead = accepts.flatMap((accept) => purposes.map((purpose) => ({ ...accept, ...purpose })));
    // A browser that looks ahead does send its cookies; nobody has clicked yet.
    const cookies = await byCookie(who);
    for (const headers of [...accepts, ...ahead, ...ahead.map((each) => ({ ...cookies, ...each }))]) {
      const answer = await service.get(who.path, { headers });
      t.match([answer.status < 500, answer.headers['set-cookie']], [true, undefined], JSON.stringify(Object.keys(headers)));
    }
    for (const headers of ahead) await service.get(who.path, { headers, token: who.accessToken });
    t.strictSame(await rows(), before);
    t.equal(await secret(who.accessToken), 403);
    t.match((await service.get(who.path, { token: who.accessToken })).body, { status: 'confirmed' }, 'the click does');
  });

  t.test('C08 the link of one account with the session of another confirms neither', async (t) => {
    const [one, other] = [await newcomer(), await newcomer()];
    const confirmed = await confirmedPerson(service);
    const before = await rows();
    const headers = await byCookie(other);
    for (const token of [other.accessToken, confirmed.token]) {
      refused(t, await service.get(one.path, { token }), 403, 'wrong_account', 'by GET');
      refused(t, await service.post('/auth/confirm', { token: one.link }, { token }), 403, 'wrong_account', 'by POST');
    }
    for (const answer of [
      await service.get(one.path, { headers }),
      await service.post('/auth/confirm', { token: one.link }, { headers }),
    ]) {
      refused(t, answer, 403, 'wrong_account', 'by cookie');
      t.notOk(answer.headers['set-cookie'], 'no session is switched');
      t.notOk(answer.text.includes(one.email) || answer.text.includes(one.username), 'nor does it tell whose it is');
    }
    const page = await service.get(one.path, { headers: { ...headers, accept: browserAccept } });
    t.match([page.status, page.headers['set-cookie']], [403, undefined], 'as a page, either');
    t.strictSame(await rows(), before);
    t.equal((await service.get('/auth/me', { headers })).body.user.id, other.id, 'the session is still that of the other');
    t.match((await service.get(one.path, { token: one.accessToken })).body, { status: 'confirmed' });
    t.equal(await secret(other.accessToken), 403);
  });

  t.test('C12 C14 no answer to a link is kept, told on, or logs anybody in', async (t) => {
    const assertDiscreet = (t: Test, { headers, text }: Awaited<ReturnType<typeof service.get>>, what: string) => {
      t.match(headers, { 'referrer-policy': 'no-referrer', 'cache-control': 'no-store', 'x-content-type-options': 'nosniff' }, what);
      t.match(headers['content-security-policy'], /default-src 'none'/);
      t.notOk(headers['set-cookie'], 'no cookie');
      t.notOk(headers['location'], 'no redirect');
      t.notMatch(text, /accessToken|refreshToken/);
      const loaded = [...text.matchAll(/\b(?:src|href|action|srcset|data|poster)\s*=\s*"([^"]*)"|url\(([^)]*)\)|@import/g)];
      for (const [, target = ''] of loaded) t.match(target, /^(\/(?!\/)|#|$|http:\/\/localhost:3000)/, 'nothing from elsewhere');
      t.notMatch(text, /<script|http-equiv="refresh"/i);
    };
    const [who, other] = [await newcomer(), await newcomer()];
    const forged = `/auth/confirm/${who.link.slice(0, -9)}AAAAAAAAA`;
    for (const accept of ['application/json', browserAccept]) {
      const headers = { accept, 'x-forwarded-host': 'evil.test', 'x-forwarded-proto': 'ftp', referer: 'https://evil.test/' };
      assertDiscreet(t, await service.get(who.path, { headers }), `for nobody: ${accept}`);
      assertDiscreet(t, await service.get(forged, { headers }), `forged: ${accept}`);
      assertDiscreet(t, await service.get(who.path, { headers, token: other.accessToken }), `wrong account: ${accept}`);
      const query = `${who.path}?next=https://evil.test/&redirect_uri=//evil.test`;
      assertDiscreet(t, await service.get(query, { headers: { ...headers, ...(await byCookie(other)) } }), `with a target: ${accept}`);
    }
    for (const confirm of Object.values(ways)) {
      const next = await newcomer();
      for (const answer of [await confirm(next), await confirm(next)]) assertDiscreet(t, answer, 'confirmed');
    }
    const page = await service.get(other.path, { headers: { ...(await byCookie(other)), accept: browserAccept } });
    t.equal(page.status, 200);
    assertDiscreet(t, page, 'as a page');
    t.match((await service.get('/auth/me', { token: other.accessToken })).body, { user: { confirmed: true } }, 'which did confirm');
    await outboxEmpty(tables);
    service.clock.advance({ minutes: 61 });
    for (const accept of ['application/json', browserAccept]) {
      assertDiscreet(t, await service.get(who.path, { headers: { accept } }), `expired: ${accept}`);
    }
  });

  t.test('C05 a link works until its end, to the second', async (t) => {
    const [early, late] = [await newcomer(), await newcomer()];
    await outboxEmpty(tables);
    const endOf = ({ link }: Newcomer) => Number(decodeJwt(link).exp) * 1000;
    const at = (milliseconds: number) => holdClock(service.clock, new Date(milliseconds));
    at(endOf(early) - 1000);
    const session = await logIn(service, early);
    t.match(await service.get(early.path, { token: session }), { status: 200, body: { status: 'confirmed' } }, 'a second before');
    at(endOf(late) + 1000);
    const other = await logIn(service, late);
    const { link, password } = late;
    refused(t, await service.get(late.path, { token: other }), 410, 'expired_token', 'a second past it');
    refused(t, await service.post('/auth/confirm', { token: link, password }), 410, 'expired_token', 'with the password');
    refused(t, await service.get(late.path), 410, 'expired_token', 'for nobody');
    t.equal(await secret(other), 403);
    refused(t, await service.get(early.path, { token: session }), 410, 'expired_token', 'nor does a used one outlive its hour');
    t.equal(await secret(session), 200, 'which takes nothing back');
    t.equal((await service.post('/auth/confirm/resend', undefined, { token: other })).status, 202, 'another mail helps');
    const fresh = await confirmationPath(service, late, 2);
    t.match((await service.get(fresh, { token: other })).body, { status: 'confirmed' });
  });
});

t.test('C12 a page leads to the application that is configured, and nowhere else', async (t) => {
  const service = await startHttpService(t, { RATE_LIMIT: 'off', APP_URL: 'https://app.example.test/welcome' });
  const person = await register(service);
  const path = await confirmationPath(service, person);
  const login = await service.post('/auth/login', { ...person, id: undefined, username: undefined, transport: 'cookie' }, { headers: own });
  const headers = { ...own, cookie: cookieHeader(setCookies(login)), accept: browserAccept, 'x-forwarded-host': 'evil.test' };
  for (const status of ['confirmed', 'already_confirmed']) {
    const answer = await service.get(`${path}?next=https://evil.test/&APP_URL=https://evil.test`, { headers });
    t.match(answer, { status: 303, headers: { location: `https://app.example.test/welcome?confirmation=${status}` } });
    t.match(answer.headers, { 'referrer-policy': 'no-referrer', 'cache-control': 'no-store', 'set-cookie': undefined });
  }
});

t.test('C10 every link of an address works within its hour, whichever comes first', async (t) => {
  const service = await startHttpService(t);
  const tables = openTables(t, service);
  for (const order of [
    [1, 2],
    [2, 1],
  ] as const) {
    const person = await register(service);
    await confirmationPath(service, person, 1);
    await outboxEmpty(tables);
    service.clock.advance({ seconds: 61 });
    const token = await logIn(service, person);
    t.equal((await service.post('/auth/confirm/resend', undefined, { token })).status, 202);
    const [first, second] = [await confirmationPath(service, person, order[0]), await confirmationPath(service, person, order[1])];
    t.not(first, second, 'they are two');
    t.match(await service.get(first, { token }), { status: 200, body: { status: 'confirmed' } });
    t.match(await service.get(second, { token }), { status: 200, body: { status: 'already_confirmed' } });
    t.equal((await service.get('/secret', { token })).status, 200);
  }
});
