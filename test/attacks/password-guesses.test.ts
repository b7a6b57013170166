import { randomBytes } from 'node:crypto';
import t, { type Test } from 'tap';
import type { Client } from '../support/client.ts';
import { behindProxy, clientAt, inTurn, setUsed } from '../support/networks.ts';
import { confirmationToken, confirmedPerson, logIn, newDetails, type Person, register, resetToken } from '../support/person.ts';
import { refused } from '../support/refusal.ts';
import { type Service, startInstance, startService } from '../support/service.ts';
import { openTables } from '../support/tables.ts';
import { tally } from '../support/two-instances.ts';

const guess = (client: Client, who: object) => client.post('/auth/login', { ...who, password: 'not the password' });
const enter = (client: Client, { email, password }: Person) => client.post('/auth/login', { email, password });
/** An address of the `index`th network, each in a wider network of its own. */
const somewhere = (index: number) => `10.${index >> 8}.${index & 255}.7`;

/** Leaves nobody any guess at an account, but from networks that are known for it. */
async function useUpGuesses(t: Test, client: Client, { email }: Pick<Person, 'email'>, service = client as Service): Promise<void> {
  await guess(clientAt(client, somewhere(999)), { email });
  await setUsed(openTables(t, service), 'password-account', 50);
}

t.test('T01 guesses from a hundred addresses are slowed, and the owner still gets in', async (t) => {
  const service = await startService(t, behindProxy);
  const owner = await register(service);
  const home = clientAt(service, '203.0.113.7');
  t.equal((await enter(home, owner)).status, 200);

  const guesses = await inTurn(100, (index) => guess(clientAt(service, somewhere(index)), { email: owner.email }));
  t.same(tally(guesses), { 401: 50, 429: 50 });
  t.equal((await enter(home, owner)).status, 200, 'from a network that the owner has logged in from before');
  t.equal((await enter(clientAt(service, '203.0.113.8'), owner)).status, 429, 'from another one nobody gets in');
  t.equal((await enter(clientAt(service, '203.0.113.8'), await register(service))).status, 200, 'another account is another matter');
  const byName = await inTurn(2, (index) => guess(clientAt(service, somewhere(index)), { username: owner.username }));
  t.same(tally(byName), { 401: 2 }, 'the user name tells nothing of the address');

  service.clock.advance({ minutes: 15, seconds: 1 });
  t.equal((await enter(clientAt(service, '203.0.113.8'), owner)).status, 200, 'a quarter of an hour later');
});

t.test('T01 guesses from a known network are limited by themselves', async (t) => {
  const service = await startService(t, behindProxy);
  const owner = await register(service);
  const home = clientAt(service, '2001:db8:1:2::1');
  t.equal((await enter(home, owner)).status, 200);
  const neighbour = clientAt(service, '2001:db8:1:2:ffff::9');
  t.equal((await guess(neighbour, { email: owner.email })).status, 401);
  await setUsed(openTables(t, service), 'password-known', 45);
  t.same(tally(await inTurn(7, () => guess(neighbour, { email: owner.email }))), { 401: 5, 429: 2 }, 'one /64 is one network');
  t.equal((await enter(home, owner)).status, 429);
  t.equal((await enter(clientAt(service, '198.51.100.1'), owner)).status, 200, 'guesses from there do not lock out other networks');
});

t.test('T01 an owner whose neighbours have guessed gets in with another password', async (t) => {
  const service = await startService(t, behindProxy);
  const owner = await register(service);
  const home = clientAt(service, '203.0.113.7');
  t.equal((await enter(home, owner)).status, 200);
  t.equal((await guess(home, { email: owner.email })).status, 401);
  await setUsed(openTables(t, service), 'password-known-day', 100);
  t.equal((await enter(home, owner)).status, 429);
  const newPassword = 'another password of my own';
  t.equal((await home.post('/auth/password/reset', { token: await resetToken(service, owner), newPassword })).status, 204);
  t.equal((await enter(home, { ...owner, password: newPassword })).status, 200);
});

t.test('T04 a refusal does not tell whether an account has been logged in to from there', async (t) => {
  const service = await startService(t, behindProxy);
  const owner = await register(service);
  const home = clientAt(service, '203.0.113.7');
  t.equal((await enter(home, owner)).status, 200);
  const refusals = [];
  for (const [email, counter] of [
    [owner.email, 'password-known'],
    ['nobody@example.com', 'password-account'],
  ] as const) {
    await guess(home, { email });
    await setUsed(openTables(t, service), counter, 50);
    const { status, headers, body } = await guess(home, { email });
    t.equal(status, 429);
    refusals.push({ body, policy: headers['ratelimit-policy'], left: String(headers['ratelimit']).replace(/t=\d+/, 't=') });
  }
  t.strictSame(refusals[0], refusals[1]);
});

t.test('T01 in a day there are no more than a hundred guesses', async (t) => {
  const service = await startService(t, behindProxy);
  const { email } = await register(service);
  let wrong = 0;
  const tables = openTables(t, service);
  for (let quarter = 0; quarter < 4; quarter += 1) {
    const answers = await inTurn(5, (index) => guess(clientAt(service, somewhere(quarter * 5 + index)), { email }));
    wrong += tally(answers)[401] ?? 0;
    if (quarter === 1) await setUsed(tables, 'password-account-day', 97);
    service.clock.advance({ minutes: 15, seconds: 1 });
  }
  t.equal(wrong, 13, 'ten, and three of those that are left');
});

t.test('T01 an owner who is locked out on a new device gets in by the mail for a forgotten password', async (t) => {
  const service = await startService(t, behindProxy);
  const owner = await register(service);
  await useUpGuesses(t, service, owner);
  const phone = clientAt(service, '198.51.100.1');
  t.equal((await enter(phone, owner)).status, 429);
  const newPassword = 'another password of my own';
  t.equal((await phone.post('/auth/password/reset', { token: await resetToken(service, owner), newPassword })).status, 204);
  t.equal((await enter(phone, { ...owner, password: newPassword })).status, 200);
});

t.test('T01 whoever knew the old password is a stranger after a reset', async (t) => {
  const service = await startService(t, behindProxy);
  const victim = await register(service);
  const mallory = clientAt(service, '198.51.100.66');
  t.equal((await enter(mallory, victim)).status, 200);
  const token = await resetToken(service, victim);
  t.equal((await service.post('/auth/password/reset', { token, newPassword: 'another password of my own' })).status, 204);
  await useUpGuesses(t, service, victim);
  t.equal((await guess(mallory, { email: victim.email })).status, 429, 'there is no limit of their own for them any more');
});

t.test('T04 a list of stolen passwords gets no further than its networks do', async (t) => {
  const service = await startService(t, behindProxy);
  const known = await inTurn(5, () => register(service));
  const tables = openTables(t, service);

  t.test('from one address', async (t) => {
    const attacker = clientAt(service, '203.0.113.7');
    const tryOut = (count: number) =>
      inTurn(count, (index) => guess(attacker, { email: known[index % 12]?.email ?? `nobody${index}@example.com` }));
    t.same(tally(await tryOut(12)), { 401: 12 });
    await setUsed(tables, 'password-network', 96);
    t.same(tally(await tryOut(12)), { 401: 4, 429: 8 });
    const [forKnown, forUnknown] = [
      await guess(attacker, { email: known[0]?.email }),
      await guess(attacker, { email: 'nobody@example.com' }),
    ];
    refused(t, forKnown, 429, 'rate_limited');
    t.equal(forKnown.text, forUnknown.text, 'known and unknown accounts are answered alike');
    t.same(Object.keys(forKnown.headers), Object.keys(forUnknown.headers));
    t.equal((await enter(attacker, known[0] as Person)).status, 429, 'the right password, too');
    t.equal((await enter(clientAt(service, '198.51.100.1'), known[0] as Person)).status, 200, 'other networks are not concerned');
  });

  t.test('from all addresses of a /24, and of a /48', async (t) => {
    for (const address of [(index: number) => `192.0.2.${index % 256}`, (index: number) => `2001:db8:7:${index}::1`]) {
      const tryOut = (count: number) =>
        inTurn(count, (index) => guess(clientAt(service, address(index)), { email: `nobody${index}@example.com` }));
      t.same(tally(await tryOut(12)), { 401: 12 });
      await setUsed(tables, 'password-network-wide', 290);
      t.same(tally(await tryOut(20)), { 401: 10, 429: 10 });
    }
    t.equal((await enter(clientAt(service, '2001:db8:8::1'), known[1] as Person)).status, 200);
  });
});

t.test('T05 a refused guess costs no hash, and says when to come back', async (t) => {
  const service = await startService(t);
  const { email } = await register(service);
  await useUpGuesses(t, service, { email });
  let hashes = 0;
  const { hasher } = service.app.services;
  const verify = hasher.verify;
  Object.assign(hasher, {
    verify: (...args: Parameters<typeof verify>) => {
      hashes += 1;
      return verify(...args);
    },
  });
  const answer = await guess(service, { email });
  refused(t, answer, 429, 'rate_limited');
  t.equal(hashes, 0);
  const wait = Number(answer.headers['retry-after']);
  t.ok(wait > 14 * 60 && wait <= 15 * 60, `Retry-After: ${wait}`);
  t.equal(answer.headers['ratelimit-policy'], '"password-account";q=50;w=900');
  t.match(answer.headers['ratelimit'], /^"password-account";r=0;t=\d+$/);
  t.equal((await guess(service, { email: 'nobody@example.com' })).status, 401);
  t.equal(hashes, 1, 'others are still checked');
});

t.test('the right password does not count, and what was not checked does not, either', async (t) => {
  const service = await startService(t);
  const owner = await register(service);
  t.same(tally(await inTurn(25, () => enter(service, owner))), { 200: 25 });
  t.same(tally(await inTurn(49, () => guess(service, { email: owner.email }))), { 401: 49 });
  t.same(tally(await inTurn(25, () => enter(service, owner))), { 200: 25 });
  t.same(tally(await inTurn(25, () => guess(service, { email: '' }))), { 400: 25 });
  t.same(tally(await inTurn(2, () => guess(service, { email: owner.email }))), { 401: 1, 429: 1 });
});

t.test('P01 guesses of the current password are counted with those of the login', async (t) => {
  const passwords: ((client: Client, token: string, password: string) => Promise<{ status: number }>)[] = [
    (client, token, currentPassword) =>
      client.request('PUT', '/auth/password', { token, body: { currentPassword, newPassword: 'a new password of mine' } }),
    (client, token, password) => client.post('/auth/email', { newEmail: newDetails().email, password }, { token }),
    (client, token, password) => client.post('/auth/me/deletion', { password }, { token }),
  ];
  for (const check of passwords) {
    const service = await startService(t);
    const { email, password, token } = await confirmedPerson(service);
    t.same(tally(await inTurn(20, () => check(service, token, 'not the password'))), { 403: 20 });
    t.same(tally(await inTurn(32, () => guess(service, { email }))), { 401: 30, 429: 2 }, 'the login counts with them');
    t.equal((await check(service, token, password)).status, 429);
    service.clock.advance({ minutes: 15, seconds: 1 });
    const { body } = await service.post('/auth/login', { email, password });
    t.ok((await check(service, body.accessToken, password)).status < 300);
  }
});

t.test('P01 somebody with a stolen session does not get more guesses by moving from network to network', async (t) => {
  const service = await startService(t, behindProxy);
  const person = await confirmedPerson(service);
  const { token } = person;
  const body = { currentPassword: 'not the password', newPassword: 'a new password of mine' };
  const change = (index: number, session: string) =>
    clientAt(service, somewhere(index)).request('PUT', '/auth/password', { token: session, body });
  t.same(tally(await inTurn(35, (index) => change(index, token))), { 403: 30, 429: 5 });
  t.equal((await change(99, await logIn(service, person))).status, 403, 'the owner, in another session, is not locked out');
});

/** The password stands in for a session where a link is followed. */
async function guessByLink(
  t: Test,
  path: string,
  tokenOf: (service: Awaited<ReturnType<typeof startService>>, person: Person) => Promise<string>,
) {
  const service = await startService(t, behindProxy);
  const person = await register(service);
  const token = await tokenOf(service, person);
  const attempt = (index: number, password: string) => clientAt(service, somewhere(index)).post(path, { token, password });
  t.same(tally(await inTurn(5, (index) => attempt(index, 'not the password'))), { 401: 5 });
  await setUsed(openTables(t, service), 'password-account', 48);
  t.same(tally(await inTurn(4, (index) => attempt(index, 'not the password'))), { 401: 2, 429: 2 });
  t.equal((await guess(clientAt(service, somewhere(99)), { email: person.email })).status, 429);
  service.clock.advance({ minutes: 15, seconds: 1 });
  t.equal((await attempt(0, person.password)).status, 200);
}

t.test('guesses at a confirmation link are counted with those of the login', async (t) => {
  await guessByLink(t, '/auth/confirm', confirmationToken);
});

t.test('T01 an owner stays known while another secret is put before the old one', async (t) => {
  const [old, next] = [randomBytes(32).toString('hex'), randomBytes(32).toString('hex')];
  const service = await startService(t, { ...behindProxy, AUTH_SECRET: old });
  const owner = await register(service);
  t.equal((await enter(clientAt(service, '203.0.113.7'), owner)).status, 200);
  await service.app.close();

  const later = await startInstance(t, { ...service.env, AUTH_SECRET: `${next},${old}` }, service.clock);
  await useUpGuesses(t, later, owner, service);
  t.equal((await enter(clientAt(later, '198.51.100.1'), owner)).status, 429);
  t.equal((await enter(clientAt(later, '203.0.113.7'), owner)).status, 200);
});

t.test('T01 after a change of the password, other networks that knew the old one are strangers', async (t) => {
  const service = await startService(t, behindProxy);
  const owner = await register(service);
  const [home, mallory] = [clientAt(service, '203.0.113.7'), clientAt(service, '198.51.100.66')];
  t.equal((await enter(mallory, owner)).status, 200);
  const { body } = await enter(home, owner);
  const password = 'another password of my own';
  const change = { token: body.accessToken, body: { currentPassword: owner.password, newPassword: password } };
  t.equal((await home.request('PUT', '/auth/password', change)).status, 204);
  await useUpGuesses(t, service, owner);
  t.equal((await guess(mallory, { email: owner.email })).status, 429);
  t.equal((await enter(home, { ...owner, password })).status, 200);
});
