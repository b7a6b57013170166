import { eq } from 'drizzle-orm';
import t from 'tap';
import { mails } from '../../src/db/schema.ts';
import { cookieHeader, setCookies } from '../support/cookies.ts';
import { outboxEmpty } from '../support/held-clock.ts';
import { startHttpService } from '../support/http.ts';
import { browserAccept } from '../support/pages.ts';
import { confirmationToken, emailChangeToken, openSession, register, resetToken } from '../support/person.ts';
import { refused } from '../support/refusal.ts';
import { openTables } from '../support/tables.ts';
import { exchangeOne, postBytes } from '../support/wire.ts';

const resendPath = '/auth/confirm/resend';

t.test('S01 nobody has a mail sent without a session', async (t) => {
  const service = await startHttpService(t, { RATE_LIMIT: 'off' });
  const tables = openTables(t, service);
  const person = await register(service);
  const { id, email, username, password } = person;
  const { accessToken, refreshToken } = await openSession(service, person);
  const ended = await openSession(service, person);
  t.equal((await service.post('/auth/logout', undefined, { token: ended.accessToken })).status, 204);
  const confirmation = await confirmationToken(service, person);
  const reset = await resetToken(service, person);
  const change = await emailChangeToken(service, { password, token: accessToken }, `next.${email}`);
  await outboxEmpty(tables);
  const sent = service.mailServer.received.length;

  for (const body of [undefined, {}, { email }, { username }, { userId: id }, { token: confirmation }, { email, password }]) {
    const answer = await service.post(resendPath, body);
    refused(t, answer, 401, 'unauthenticated', JSON.stringify(body));
    t.match(answer.headers['www-authenticate'], /^Bearer/);
  }
  const [head, payload] = accessToken.split('.');
  const wrong = {
    ended: ended.accessToken,
    refresh: refreshToken,
    confirmation,
    reset,
    change,
    unsigned: `${head}.${payload}.`,
    text: 'x',
    id,
  };
  for (const [what, token] of Object.entries(wrong)) {
    refused(t, await service.post(resendPath, undefined, { token }), 401, 'unauthenticated', what);
    const headers = { cookie: `access=${token}`, 'sec-fetch-site': 'same-origin' };
    refused(t, await service.post(resendPath, undefined, { headers }), 401, 'unauthenticated', `${what} as a cookie`);
  }
  for (const query of [`access_token=${accessToken}`, `token=${accessToken}`, `email=${email}`]) {
    refused(t, await service.post(`${resendPath}?${query}`), 401, 'unauthenticated', 'in the query');
  }
  const basic = Buffer.from(`${email}:${password}`).toString('base64');
  refused(t, await service.post(resendPath, undefined, { headers: { authorization: `Basic ${basic}` } }), 401, 'unauthenticated');
  for (const method of ['GET', 'HEAD', 'PUT', 'PATCH', 'DELETE'] as const) {
    t.match((await service.request(method, resendPath)).status, /^40[0145]$/, `${method} for nobody`);
    t.match((await service.request(method, resendPath, { token: accessToken })).status, /^40[05]$/, `${method} with a session`);
  }
  const login = await service.post(
    '/auth/login',
    { email, password, transport: 'cookie' },
    { headers: { 'sec-fetch-site': 'same-origin' } },
  );
  const cookie = cookieHeader(setCookies(login));
  for (const site of ['cross-site', 'same-site']) {
    refused(
      t,
      await service.post(resendPath, undefined, { headers: { cookie, 'sec-fetch-site': site } }),
      403,
      'cross_origin_rejected',
      site,
    );
  }
  // The page of a link that has expired has a form for this, which wants a session or the password.
  const form = { 'content-type': 'application/x-www-form-urlencoded', accept: browserAccept, 'sec-fetch-site': 'same-origin' };
  for (const body of ['proof=x', 'proof=', `proof=x&email=${email}`, `proof=x&email=${email}&password=${encodeURIComponent(password)}`]) {
    t.ok(
      (await service.post(`/auth/confirm/${confirmation}/resend`, body, { headers: form })).status >= 400,
      `a forged form: ${body.slice(0, 12)}`,
    );
  }
  await outboxEmpty(tables);
  t.equal(service.mailServer.received.length, sent, 'nothing was sent');

  t.equal((await service.post(resendPath, undefined, { token: accessToken })).status, 202, 'with a session it is');
  await outboxEmpty(tables);
  t.strictSame(
    service.mailServer.received.slice(sent).map(({ recipients }) => recipients),
    [[email]],
  );
});

t.test('S04 another mail goes to the address of the session, whoever is named', async (t) => {
  const service = await startHttpService(t, { RATE_LIMIT: 'off' });
  const tables = openTables(t, service);
  const [person, victim] = [await register(service), await register(service)];
  const { accessToken: token } = await openSession(service, person);
  const stranger = 'nobody.registered@example.com';
  await outboxEmpty(tables);
  const sent = service.mailServer.received.length;
  const mailsSent = () => service.mailServer.received.slice(sent).map(({ recipients }) => recipients);

  const bodies = [
    { email: victim.email },
    { email: [person.email, victim.email] },
    { email: stranger },
    { email: person.email },
    { username: victim.username },
    { id: victim.id },
    { userId: victim.id },
    { user: { id: victim.id, email: victim.email } },
    { sub: victim.id },
    { to: victim.email, cc: victim.email, bcc: victim.email },
    { recipient: victim.email },
    { locale: 'de' },
    [victim.email],
    [],
    JSON.stringify(victim.email),
    'true',
  ];
  for (const body of bodies) refused(t, await service.post(resendPath, body, { token }), 400, 'validation_failed', JSON.stringify(body));
  const polluting = `{"__proto__":{"email":"${victim.email}"}}`;
  refused(t, await service.post(resendPath, polluting, { token }), 400, 'malformed_request', 'by way of the prototype');
  const authorization = `Bearer ${token}`;
  const plain = postBytes(resendPath, `email=${victim.email}`, {
    authorization,
    'user-agent': 'node',
    'content-type': 'application/x-www-form-urlencoded',
  });
  t.equal((await exchangeOne(service.base, plain)).status, 415, 'as a form');
  await outboxEmpty(tables);
  t.strictSame(mailsSent(), [], 'nothing was sent');

  const naming = {
    'x-user-id': victim.id,
    'x-auth-user-id': victim.id,
    'x-auth-email': victim.email,
    'x-forwarded-user': victim.email,
    'x-original-url': `${resendPath}?email=${victim.email}`,
    from: victim.email,
  };
  const answers = [
    await service.post(resendPath, {}, { token, headers: naming }),
    await service.post(`${resendPath}?email=${victim.email}&userId=${victim.id}&to=${stranger}`, undefined, { token }),
  ];
  const allowed = answers.filter(({ status }) => status === 202).length;
  for (const answer of answers) if (answer.status !== 202) refused(t, answer, 400, 'validation_failed');
  t.ok(allowed > 0, 'a request that is in order sends');
  await outboxEmpty(tables);
  t.strictSame(mailsSent(), Array(allowed).fill([person.email]), 'to its own address alone');
  t.equal(await tables.$count(mails, eq(mails.userId, victim.id)), 1, 'and nothing happened to the other account');
  t.notOk(
    answers.some(({ text }) => text.includes('@')),
    'nor is any address told',
  );
});
