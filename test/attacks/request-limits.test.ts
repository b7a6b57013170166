import { randomUUID } from 'node:crypto';
import { eq } from 'drizzle-orm';
import t from 'tap';
import { mails } from '../../src/db/schema.ts';
import { behindProxy, clientAt, inTurn, setUsed } from '../support/networks.ts';
import { confirmationToken, logIn, newDetails, register } from '../support/person.ts';
import { refused } from '../support/refusal.ts';
import { startService } from '../support/service.ts';
import { openTables } from '../support/tables.ts';
import { tally } from '../support/two-instances.ts';

t.test('S03 whoever asks for hundreds of forgotten passwords from one network is stopped', async (t) => {
  const service = await startService(t, behindProxy);
  const forgot = (ip: string, index: number) =>
    clientAt(service, ip).post('/auth/password/forgot', { email: `person${index}@example.org` });

  for (const [what, addressOf] of [
    ['an IPv4 address', () => '203.0.113.7'],
    ['an IPv6 /64', (index: number) => `2001:db8:1:2::${index.toString(16)}`],
  ] as const) {
    const answers = await inTurn(220, (index) => forgot(addressOf(index), index));
    t.same(tally(answers), { 202: 200, 429: 20 }, what);
    const last = answers.at(-1);
    refused(t, last as never, 429, 'rate_limited');
    t.ok(Number(last?.headers['retry-after']) > 3500);
  }
  t.equal((await forgot('198.51.100.1', 0)).status, 202, 'others are not concerned');
  service.clock.advance({ hours: 1, seconds: 1 });
  t.equal((await forgot('203.0.113.7', 0)).status, 202, 'an hour later');
});

t.test('S03 the networks of a wider one share a limit', async (t) => {
  const service = await startService(t, behindProxy);
  const forgot = (index: number) => clientAt(service, `192.0.2.${index}`).post('/auth/password/forgot', { email: 'nobody@example.org' });
  t.equal((await forgot(1)).status, 202);
  await setUsed(openTables(t, service), 'forgot-wide', 994);
  t.same(tally(await inTurn(10, forgot)), { 202: 6, 429: 4 });
});

t.test('C16 random tokens are refused, and soon not even looked at; genuine ones work all the time', async (t) => {
  const service = await startService(t, behindProxy);
  const person = await register(service);
  const attacker = clientAt(service, '203.0.113.7');
  const html = { headers: { accept: 'text/html' } };
  const attempts = [
    (token: string) => attacker.get(`/auth/confirm/${token}`),
    (token: string) => attacker.post('/auth/confirm', { token, password: 'whatever it is' }),
    (token: string) => attacker.get(`/auth/email/confirm/${token}`),
    (token: string) => attacker.post('/auth/email/confirm', { token }),
    (token: string) => attacker.get(`/auth/password/reset/${token}`),
    (token: string) => attacker.post('/auth/password/reset', { token, newPassword: 'a new password of mine' }),
    (token: string) => attacker.get(`/auth/disown/${token}`),
    (token: string) => attacker.post('/auth/disown', { token }),
    (token: string) => attacker.get(`/auth/confirm/${token}`, html),
    (token: string) => attacker.get(`/auth/email/confirm/${token}`, html),
    (token: string) => attacker.get(`/auth/password/reset/${token}`, html),
    (token: string) => attacker.get(`/auth/disown/${token}`, html),
  ];
  const answers = await inTurn(120, (index) => (attempts[index % attempts.length] as (typeof attempts)[0])(randomUUID()));
  t.same(tally(answers), { 400: 100, 429: 20 });
  for (const answer of answers.slice(100)) t.ok(Number(answer.headers['retry-after']) > 0);
  t.match(answers.at(-1)?.headers['content-type'], /^text\/html/, 'a browser gets a page');

  const token = await confirmationToken(service, person);
  t.equal((await attacker.post('/auth/confirm', { token, password: person.password })).status, 200, 'a genuine one, from there');
  t.equal((await clientAt(service, '198.51.100.1').get(`/auth/confirm/${randomUUID()}`)).status, 400, 'others are not concerned');
});

t.test('H01 what a client says of its address is believed by nobody but the proxies that are named', async (t) => {
  const names = (index: number) => ({
    'x-forwarded-for': `10.0.${index >> 8}.${index & 255}`,
    forwarded: `for=10.0.0.${index & 255}`,
    'x-real-ip': `10.0.0.${index & 255}`,
    'client-ip': `10.0.0.${index & 255}`,
    'cf-connecting-ip': `10.0.0.${index & 255}`,
  });

  t.test('without a proxy', async (t) => {
    const service = await startService(t);
    const answers = await inTurn(250, (index) =>
      service.post('/auth/password/forgot', { email: 'nobody@example.org' }, { headers: names(index) }),
    );
    t.same(tally(answers), { 202: 200, 429: 50 });
  });

  t.test('with one, which puts the address of its client behind what that one said', async (t) => {
    const service = await startService(t, behindProxy);
    const answers = await inTurn(250, (index) => {
      const headers = { ...names(index), 'x-forwarded-for': `10.0.${index >> 8}.${index & 255}, 203.0.113.7` };
      return service.post('/auth/password/forgot', { email: 'nobody@example.org' }, { headers });
    });
    t.same(tally(answers), { 202: 200, 429: 50 });
  });
});

t.test('the requests of one network are limited, and answers say so', async (t) => {
  const service = await startService(t, behindProxy);
  const tables = openTables(t, service);
  const client = clientAt(service, '203.0.113.7');
  const login = () => client.post('/auth/login', { username: 'nobody_at_all', password: 'not the password' });

  const first = await login();
  const policy = '"login";q=300;w=300, "login-wide";q=3000;w=300';
  t.match(first.headers, { 'ratelimit-policy': policy, ratelimit: undefined }, 'while there is enough, all answers are alike');
  t.equal((await client.post('/auth/login', {})).headers['ratelimit-policy'], undefined, 'what is not well-formed does not count');

  const registration = await client.post('/auth/register', newDetails());
  t.equal(registration.status, 201);
  t.match(registration.headers['ratelimit-policy'], /^"registration";q=200;w=3600, /);
  const forgotten = await client.post('/auth/password/forgot', { email: 'nobody@example.org' });
  t.match(forgotten.headers['ratelimit-policy'], /^"forgot";q=200;w=3600, /);

  const person = await register(service);
  const enter = () => client.post('/auth/login', { email: person.email, password: person.password });
  await setUsed(tables, 'login', 149);
  t.equal((await enter()).headers['ratelimit'], undefined);
  t.match(
    (await enter()).headers,
    { 'ratelimit-policy': policy, ratelimit: /^"login";r=149;t=\d+$/ },
    'once half is used, the rest is told',
  );
  await setUsed(tables, 'login', 295);
  const answers = await inTurn(10, enter);
  t.same(tally(answers), { 200: 5, 429: 5 });
  t.match(answers[4]?.headers['ratelimit'], /^"login";r=0;t=\d+$/);
  const refusal = answers.at(-1);
  refused(t, refusal as never, 429, 'rate_limited');
  t.equal(refusal?.headers['ratelimit-policy'], '"login";q=300;w=300');
  t.match(refusal?.headers['ratelimit'], /^"login";r=0;t=\d+$/);
});

t.test('what one address may not send does not count for its neighbours', async (t) => {
  const service = await startService(t, behindProxy);
  const tables = openTables(t, service);
  const forgot = (ip: string) => clientAt(service, ip).post('/auth/password/forgot', { email: 'nobody@example.org' });
  t.equal((await forgot('192.0.2.1')).status, 202);
  await setUsed(tables, 'forgot', 199);
  await setUsed(tables, 'forgot-wide', 995);
  t.same(tally(await inTurn(20, () => forgot('192.0.2.1'))), { 202: 1, 429: 19 });
  t.equal((await forgot('192.0.2.99')).status, 202);
});

t.test('nobody reads out who has an account through a change of address or name', async (t) => {
  const service = await startService(t);
  const person = await register(service);
  const token = await logIn(service, person);
  const taken = await inTurn(12, () => register(service));
  const addresses = await inTurn(12, (index) => {
    return service.post('/auth/email', { newEmail: taken[index]?.email, password: person.password }, { token });
  });
  t.same(tally(addresses), { 409: 10, 429: 2 });
  t.equal((await service.post('/auth/email', { newEmail: newDetails().email, password: person.password }, { token })).status, 429);
  const names = await inTurn(22, (index) =>
    service.request('PATCH', '/auth/me', { token, body: { username: taken[index % 12]?.username } }),
  );
  t.same(tally(names), { 409: 20, 429: 2 });
});

t.test('requests with a password are limited by network, wherever they go', async (t) => {
  const service = await startService(t, behindProxy);
  const person = await register(service);
  const client = clientAt(service, '203.0.113.7');
  const token = await logIn(service, person);
  const paths = ['/auth/email', '/auth/me/deletion', '/auth/confirm', '/auth/email/confirm', '/auth/password/reset'];
  const bodies = [
    { newEmail: newDetails().email },
    {},
    { token: 'x.y.z' },
    { token: 'x.y.z' },
    { token: 'x.y.z', newPassword: 'a new password of mine' },
  ];
  t.equal((await client.post('/auth/confirm', { token: 'x.y.z', password: 'whatever it is' })).status, 400);
  await setUsed(openTables(t, service), 'password', 290);
  const answers = await inTurn(20, (index) => {
    const which = index % paths.length;
    const password = which < 4 ? { password: 'not the password' } : {};
    return client.post(paths[which] as string, { ...bodies[which], ...password }, which < 2 ? { token } : {});
  });
  t.ok(answers.slice(10).every(({ status, headers }) => status === 429 && headers['ratelimit-policy'] === '"password";q=300;w=300'));
  t.equal((await service.post('/auth/confirm', { token: 'x.y.z', password: 'whatever it is' })).status, 400, 'others are not concerned');
});

t.test('registrations of one network are limited', async (t) => {
  const service = await startService(t, behindProxy);
  const client = clientAt(service, '203.0.113.7');
  t.equal((await client.post('/auth/register', newDetails())).status, 201);
  await setUsed(openTables(t, service), 'registration', 195);
  t.same(tally(await inTurn(10, () => client.post('/auth/register', newDetails()))), { 201: 5, 429: 5 });
  t.equal((await clientAt(service, '203.0.113.8').post('/auth/register', newDetails())).status, 201);
});

t.test('an address that nobody has confirmed gets ten mails an hour, however they are brought about', async (t) => {
  const service = await startService(t);
  const tables = openTables(t, service);
  const details = newDetails();

  t.test('by accounts that are opened and deleted', async (t) => {
    for (let times = 0; times < 10; times += 1) {
      const token = await logIn(service, await register(service, details));
      t.equal((await service.post('/auth/me/deletion', { password: details.password }, { token })).status, 204);
    }
    const refusal = await service.post('/auth/register', details);
    refused(t, refusal, 429, 'rate_limited');
    t.ok(Number(refusal.headers['retry-after']) > 3000);
    t.equal((await service.post('/auth/login', details)).status, 400);
    t.equal((await service.post('/auth/login', { email: details.email, password: details.password })).status, 401, 'there is no account');
  });

  t.test('in whatever case it is written', async (t) => {
    const email = details.email.toUpperCase();
    refused(t, await service.post('/auth/register', { ...newDetails(), email }), 429, 'rate_limited');
  });

  t.test('but five to whoever wants to have it, which are not taken from those', async (t) => {
    const newEmail = newDetails().email;
    const ask = async () => {
      const person = await register(service);
      return service.post('/auth/email', { newEmail, password: person.password }, { token: await logIn(service, person) });
    };
    t.same(tally(await inTurn(6, ask)), { 202: 5, 429: 1 });
    t.equal((await service.post('/auth/register', { ...newDetails(), email: newEmail })).status, 201, 'its owner may still register');
  });

  t.test('an hour later there are ten more, and then none on that day', async (t) => {
    service.clock.advance({ hours: 1, seconds: 1 });
    const token = await logIn(service, await register(service, details));
    for (let times = 0; times < 3; times += 1) {
      service.clock.advance({ seconds: 61 });
      t.equal((await service.post('/auth/confirm/resend', undefined, { token })).status, 202);
    }
    t.equal((await service.post('/auth/me/deletion', { password: details.password }, { token })).status, 204);
    const last = await inTurn(8, async () => {
      const { status } = await service.post('/auth/register', details);
      if (status !== 201) return { status };
      const session = await logIn(service, details);
      await service.post('/auth/me/deletion', { password: details.password }, { token: session });
      return { status };
    });
    t.same(tally(last), { 201: 6, 429: 2 });
    service.clock.advance({ hours: 1, seconds: 1 });
    t.equal((await service.post('/auth/register', details)).status, 429, 'ten an hour, twenty a day');
    service.clock.advance({ days: 1 });
    t.equal((await service.post('/auth/register', details)).status, 201);
    t.equal(await tables.$count(mails, eq(mails.recipient, details.email)), 1);
  });
});

t.test('an account is exported ten times an hour, and has thirty other passwords', async (t) => {
  const service = await startService(t);
  const { email, password } = await register(service);
  const token = await logIn(service, { email, password });
  t.same(tally(await inTurn(11, () => service.get('/auth/me/export', { token }))), { 200: 10, 429: 1 });
  const body = { currentPassword: password, newPassword: password };
  const change = () => service.request('PUT', '/auth/password', { token, body });
  t.equal((await change()).status, 204);
  await setUsed(openTables(t, service), 'password-change', 28);
  t.same(tally(await inTurn(4, change)), { 204: 2, 429: 2 });
});

t.test('RATE_LIMIT=off lifts all of them', async (t) => {
  const service = await startService(t, { RATE_LIMIT: 'off' });
  const { email } = await register(service);
  const answers = await inTurn(60, () => service.post('/auth/login', { email, password: 'not the password' }));
  t.same(tally(answers), { 401: 60 });
  t.equal(answers[0]?.headers['ratelimit'], undefined);
  t.same(tally(await inTurn(110, () => service.get(`/auth/confirm/${randomUUID()}`))), { 400: 110 });
});
