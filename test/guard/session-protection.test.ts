import { eq } from 'drizzle-orm';
import t from 'tap';
import { events, sessions } from '../../src/db/schema.ts';
import { createClientDigests } from '../../src/guard/client-digest.ts';
import { networkOf } from '../../src/http/network.ts';
import { confirmedPerson, type Person } from '../support/person.ts';
import { refused } from '../support/refusal.ts';
import { type Service, startService } from '../support/service.ts';
import { openTables } from '../support/tables.ts';

/** Where a request comes from, as a trusted proxy tells, and what sends it. */
interface Place {
  readonly ip: string;
  readonly agent: string;
}

const home: Place = { ip: '203.0.113.7', agent: 'Firefox' };
const homeV6: Place = { ip: '2001:db8:1:2::7', agent: 'Firefox' };

const samePlaces: readonly (readonly [string, Place, Place])[] = [
  ['the same address', home, home],
  ['the same IPv4 address, written as an IPv6 one', home, { ...home, ip: '::ffff:203.0.113.7' }],
  ['the same in hexadecimal', home, { ...home, ip: '::ffff:cb00:7107' }],
  ['another address of the same /64', homeV6, { ...homeV6, ip: '2001:db8:1:2:ffff:1:2:3' }],
  ['the same /64 written out', homeV6, { ...homeV6, ip: '2001:0DB8:0001:0002::1' }],
];

const otherPlaces: readonly (readonly [string, Place, Place])[] = [
  ['another browser', home, { ...home, agent: 'Chrome' }],
  ['no browser at all', home, { ...home, agent: '' }],
  ['the next IPv4 address', home, { ...home, ip: '203.0.113.8' }],
  ['the next /64', homeV6, { ...homeV6, ip: '2001:db8:1:3::7' }],
  ['the other family', home, homeV6],
];

function actionsOf(service: Service) {
  const at = ({ ip, agent }: Place) => ({ headers: { 'x-forwarded-for': ip, 'user-agent': agent } });
  return {
    logIn: async ({ email, password }: Person, place: Place) => (await service.post('/auth/login', { email, password }, at(place))).body,
    refresh: (refreshToken: string, place: Place) => service.post('/auth/refresh', { refreshToken }, at(place)),
    enter: (token: string, place: Place) => service.get('/secret', { token, ...at(place) }),
  };
}

const start = (t: Parameters<typeof startService>[0], protection: string) =>
  startService(t, { TRUSTED_PROXIES: '127.0.0.1', ...(protection !== 'basic' && { SESSION_PROTECTION: protection }) });

t.test('without protection a session goes wherever its tokens go', async (t) => {
  const service = await start(t, 'none');
  const { logIn, refresh, enter } = actionsOf(service);
  const person = await confirmedPerson(service);
  for (const [what, from, to] of [...samePlaces, ...otherPlaces]) {
    const { accessToken, refreshToken } = await logIn(person, from);
    t.equal((await enter(accessToken, to)).status, 200, what);
    t.equal((await refresh(refreshToken, to)).status, 200, what);
    t.equal((await enter(accessToken, from)).status, 200, what);
  }
});

t.test('basic protection, which is the default,', async (t) => {
  const service = await start(t, 'basic');
  const { logIn, refresh, enter } = actionsOf(service);
  const person = await confirmedPerson(service);

  t.test('lets in who is where the token was given to them', async (t) => {
    for (const [what, from, to] of samePlaces) t.equal((await enter((await logIn(person, from)).accessToken, to)).status, 200, what);
  });

  t.test('makes everybody else refresh, which binds the session to where they are', async (t) => {
    for (const [what, from, to] of otherPlaces) {
      const { accessToken, refreshToken } = await logIn(person, from);
      const answer = await enter(accessToken, to);
      refused(t, answer, 401, 'unauthenticated', what);
      t.equal(answer.headers['www-authenticate'], 'Bearer error="invalid_token"');
      t.equal((await enter(accessToken, from)).status, 200, 'the session lives');

      const refreshed = await refresh(refreshToken, to);
      t.equal(refreshed.status, 200, what);
      t.equal((await enter(refreshed.body.accessToken, to)).status, 200);
      refused(t, await enter(refreshed.body.accessToken, from), 401, 'unauthenticated', 'the new token in the old place');
    }
  });

  t.test('shows the owner where the session is now', async (t) => {
    const { refreshToken } = await logIn(person, home);
    const { body } = await refresh(refreshToken, { ...homeV6, agent: 'Chrome' });
    const [row] = await openTables(t, service).select().from(sessions).where(eq(sessions.id, body.session.id));
    t.match(row, { ip: homeV6.ip, userAgent: 'Chrome' });
  });

  t.test('binds a twin of a refresh to the place of the first', async (t) => {
    const { refreshToken } = await logIn(person, home);
    t.equal((await refresh(refreshToken, home)).status, 200);
    const twin = await refresh(refreshToken, homeV6);
    t.equal(twin.status, 200);
    refused(t, await enter(twin.body.accessToken, homeV6), 401, 'unauthenticated');
    t.equal((await enter(twin.body.accessToken, home)).status, 200);
    t.equal((await refresh(twin.body.refreshToken, homeV6)).status, 200, 'and another refresh brings it over');
  });
});

t.test('strong protection', async (t) => {
  const service = await start(t, 'strong');
  const { logIn, refresh, enter } = actionsOf(service);
  const tables = openTables(t, service);
  const person = await confirmedPerson(service);

  t.test('lets in who is where the session was opened', async (t) => {
    for (const [what, from, to] of samePlaces) {
      const { accessToken, refreshToken } = await logIn(person, from);
      t.equal((await enter(accessToken, to)).status, 200, what);
      const refreshed = await refresh(refreshToken, to);
      t.equal(refreshed.status, 200, what);
      t.equal((await refresh(refreshToken, to)).status, 200, 'a twin, too');
      t.equal((await enter(refreshed.body.accessToken, from)).status, 200, what);
    }
  });

  t.test('ends the session when somebody else comes with its access token', async (t) => {
    const bystander = await logIn(person, home);
    for (const [what, from, to] of otherPlaces) {
      const { accessToken, refreshToken } = await logIn(person, from);
      refused(t, await enter(accessToken, to), 401, 'unauthenticated', what);
      refused(t, await enter(accessToken, from), 401, 'unauthenticated', 'its owner has lost it');
      refused(t, await refresh(refreshToken, from), 401, 'invalid_refresh_token', 'for good');
    }
    t.equal((await enter(bystander.accessToken, home)).status, 200, 'no other session has ended');
  });

  t.test('ends the session when somebody else comes with its refresh token', async (t) => {
    for (const [what, from, to] of otherPlaces) {
      const { accessToken, refreshToken } = await logIn(person, from);
      refused(t, await refresh(refreshToken, to), 401, 'invalid_refresh_token', what);
      refused(t, await refresh(refreshToken, from), 401, 'invalid_refresh_token', 'its owner has lost it');
      refused(t, await enter(accessToken, from), 401, 'unauthenticated', 'with the access token');
    }
  });

  t.test('takes a stranger for no twin', async (t) => {
    const { refreshToken } = await logIn(person, home);
    const { body } = await refresh(refreshToken, home);
    refused(t, await refresh(refreshToken, homeV6), 401, 'invalid_refresh_token');
    refused(t, await enter(body.accessToken, home), 401, 'unauthenticated');
  });

  t.test('ends no session for a token that is not genuine', async (t) => {
    const { accessToken } = await logIn(person, home);
    const [head, claims, signature] = accessToken.split('.');
    const forged = `${head}.${claims}.${signature.split('').reverse().join('')}`;
    refused(t, await enter(forged, homeV6), 401, 'unauthenticated');
    t.equal((await enter(accessToken, home)).status, 200);
  });

  t.test('records the reuse of a spent token as such', async (t) => {
    const reuses = () => tables.$count(events, eq(events.type, 'refresh_reused'));
    t.equal(await reuses(), 0, 'what strangers did with the newest was none');
    const { refreshToken } = await logIn(person, home);
    await refresh(refreshToken, home);
    service.clock.advance({ seconds: 11 });
    refused(t, await refresh(refreshToken, home), 401, 'invalid_refresh_token');
    t.equal(await reuses(), 1);

    const stolen = (await logIn(person, home)).refreshToken;
    await refresh(stolen, home);
    service.clock.advance({ seconds: 11 });
    refused(t, await refresh(stolen, homeV6), 401, 'invalid_refresh_token');
    t.equal(await reuses(), 2, 'by a stranger, too');
  });
});

t.test('the network that one client is alone in', async (t) => {
  for (const [ip, network] of [
    ['203.0.113.7', '203.0.113.7'],
    ['::ffff:203.0.113.7', '203.0.113.7'],
    ['::ffff:cb00:7107', '203.0.113.7'],
    ['127.0.0.1', '127.0.0.1'],
    ['2001:db8:1:2:3:4:5:6', '20010db800010002'],
    ['2001:DB8:1:2::', '20010db800010002'],
    ['2001:db8:1:3::', '20010db800010003'],
    ['fe80::1%eth0', 'fe80000000000000'],
    ['::1', '0000000000000000'],
    ['203.0.113.7:50123', '203.0.113.7'],
    ['[2001:db8:1:2::1]:50123', '20010db800010002'],
    ['[2001:db8:1:2::1]', '20010db800010002'],
    ['unknown', 'unknown'],
    ['', ''],
  ] as const) {
    t.equal(networkOf(ip), network, ip);
  }
});

t.test('a digest depends on the secret, the network and the user agent, and on nothing before', async (t) => {
  const [secret, older, unknown] = ['s'.repeat(32), 't'.repeat(32), 'u'.repeat(32)] as const;
  const { of: digest } = createClientDigests([secret]);
  const first = digest('203.0.113.7', 'Firefox');
  t.match(first, /^[\w-]{16}$/);
  t.equal(digest('203.0.113.7', 'Firefox'), first);
  t.equal(createClientDigests([secret]).of('203.0.113.7', 'Firefox'), first, 'another instance');
  t.not(digest('203.0.113.8', 'Firefox'), first);
  t.not(digest('203.0.113.7', 'Chrome'), first);
  t.equal(digest('203.0.113.7', undefined), digest('203.0.113.7', ''));
  for (let client = 0; client < 9000; client += 1) digest('203.0.113.7', `client ${client}`);
  t.equal(digest('203.0.113.7', 'Firefox'), first, 'after it has been forgotten');

  const after = createClientDigests([older, secret]);
  t.not(after.of('203.0.113.7', 'Firefox'), first);
  t.strictSame(after.all('203.0.113.7', 'Firefox'), [after.of('203.0.113.7', 'Firefox'), first]);
  t.equal(after.match(first, '203.0.113.7', 'Firefox'), true, 'whichever secret was the first then');
  t.equal(after.match(first, '203.0.113.8', 'Firefox'), false);
  t.equal(createClientDigests([older, unknown]).match(first, '203.0.113.7', 'Firefox'), false);
  t.throws(() => createClientDigests([]), /secret/);
});
