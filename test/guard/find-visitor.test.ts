import t from 'tap';
import { disableUser, requireNamedUser } from '../../src/administration/manage-user.ts';
import { openBrowser, type TestBrowser } from '../support/pages.ts';
import { confirmationPath, emailChangeToken, logIn, type Person, register } from '../support/person.ts';
import { type Service, startService } from '../support/service.ts';

const otherAgent = { 'user-agent': 'Another browser/2.0' };

/** Gets the next tokens of a session, as an application does; the browser keeps them. */
async function refresh(browser: TestBrowser): Promise<void> {
  const { status } = await browser.call('/auth/refresh');
  if (status !== 200) throw new Error(`refresh answered ${status}`);
}

/** Who can come with a link: what their browser has of a session. */
const visitors = {
  nobody: async () => {},
  own: (browser: TestBrowser, person: Person) => browser.logIn(person),
  'own, without the access cookie': async (browser: TestBrowser, person: Person) => {
    await browser.logIn(person);
    browser.cookies.delete('access');
  },
  'own, with an access cookie of nobody': async (browser: TestBrowser, person: Person) => {
    await browser.logIn(person);
    browser.cookies.set('access', 'x');
  },
  'own, with the access cookie alone': async (browser: TestBrowser, person: Person) => {
    await browser.logIn(person);
    browser.cookies.delete('refresh');
  },
  'own, after a refresh': async (browser: TestBrowser, person: Person) => {
    await browser.logIn(person);
    await refresh(browser);
    browser.cookies.delete('access');
  },
  'an old refresh cookie': async (browser: TestBrowser, person: Person) => {
    await browser.logIn(person);
    const old = browser.cookies.get('refresh') ?? '';
    await refresh(browser);
    browser.cookies.set('refresh', old).delete('access');
  },
  'a forged refresh cookie': async (browser: TestBrowser, person: Person) => {
    await browser.logIn(person);
    browser.cookies.set('refresh', `${browser.cookies.get('refresh')}x`).delete('access');
  },
  'a session that is over': async (browser: TestBrowser, person: Person, service: Service) => {
    await browser.logIn(person);
    await service.request('DELETE', '/auth/sessions', { token: await logIn(service, person) });
  },
  'somebody else': async (browser: TestBrowser, _person: Person, service: Service) => browser.logIn(await register(service)),
  'somebody else, without the access cookie': async (browser: TestBrowser, _person: Person, service: Service) => {
    await browser.logIn(await register(service));
    browser.cookies.delete('access');
  },
} satisfies Record<string, (browser: TestBrowser, person: Person, service: Service) => Promise<unknown>>;
type Visitor = keyof typeof visitors;

/** What becomes of a link before somebody comes with it. */
const links = {
  live: async () => {},
  used: async (person: Person, path: string, service: Service) => {
    await service.get(path, { token: await logIn(service, person) });
  },
  expired: async (_person: Person, _path: string, { clock }: Service) => clock.advance({ minutes: 61 }),
  'expired and used': async (person: Person, path: string, service: Service) => {
    await service.get(path, { token: await logIn(service, person) });
    service.clock.advance({ minutes: 61 });
  },
  'of an address that changed': async (person: Person, _path: string, service: Service) => {
    const token = await logIn(service, person);
    const change = await emailChangeToken(service, { ...person, token }, `new.${person.email}`);
    await service.get(`/auth/email/confirm/${change}`, { token });
  },
} satisfies Record<string, (person: Person, path: string, service: Service) => Promise<unknown>>;
type Link = keyof typeof links;

const insiders: readonly Visitor[] = [
  'own',
  'own, without the access cookie',
  'own, with an access cookie of nobody',
  'own, with the access cookie alone',
  'own, after a refresh',
];
const strangers: readonly Visitor[] = ['somebody else', 'somebody else, without the access cookie'];

/** Which page a visitor gets: the owner of the link, somebody with another account, or anybody else. */
const expected: Readonly<Record<Link, { own: string; other: string; nobody: string }>> = {
  live: { own: 'confirmed', other: 'wrong_account', nobody: 'confirm_with_password' },
  used: { own: 'already_confirmed', other: 'wrong_account', nobody: 'confirm_with_password' },
  expired: { own: 'expired', other: 'expired_with_password', nobody: 'expired_with_password' },
  'expired and used': { own: 'expired', other: 'expired_with_password', nobody: 'expired_with_password' },
  'of an address that changed': { own: 'invalid', other: 'invalid', nobody: 'invalid' },
};
function whoIs(visitor: Visitor): 'own' | 'other' | 'nobody' {
  if (insiders.includes(visitor)) return 'own';
  return strangers.includes(visitor) ? 'other' : 'nobody';
}
const statuses: Readonly<Record<string, number>> = {
  ...{ confirmed: 200, already_confirmed: 200, wrong_account: 403, confirm_with_password: 401 },
  ...{ expired: 410, expired_with_password: 410, invalid: 400 },
};

t.test('the page of a link depends on whose browser it is opened in', async (t) => {
  const service = await startService(t);
  for (const link of Object.keys(links) as Link[]) {
    t.test(`when the link is ${link}`, async (t) => {
      for (const visitor of Object.keys(visitors) as Visitor[]) {
        const person = await register(service);
        const path = await confirmationPath(service, person);
        await links[link](person, path, service);
        const browser = openBrowser(service);
        const email = link === 'of an address that changed' ? `new.${person.email}` : person.email;
        await visitors[visitor](browser, { ...person, email }, service);
        const before = new Map(browser.cookies);
        const kind = expected[link][whoIs(visitor)];
        t.match(await browser.go(path), { kind, status: statuses[kind] }, visitor);
        t.match(await browser.go(`${path}x`), { kind: 'invalid', status: 400 }, `${visitor}, forged`);
        t.strictSame([...browser.cookies], [...before], `C14: ${visitor}: no cookie is set or taken`);
        const { confirmed } = (await service.get('/auth/me', { token: await logIn(service, { ...person, email }) })).body.user;
        t.equal(confirmed, !['live', 'expired'].includes(link) || kind === 'confirmed', `${visitor}: confirmed only by the owner`);
      }
    });
  }

  t.test('and an old refresh cookie, which does not do, ends no session', async (t) => {
    const person = await register(service);
    const browser = openBrowser(service);
    await browser.logIn(person);
    const old = browser.cookies.get('refresh') ?? '';
    await refresh(browser);
    const current = new Map(browser.cookies);
    service.clock.advance({ seconds: 60 });
    browser.cookies.set('refresh', old).delete('access');
    t.equal((await browser.go(await confirmationPath(service, person))).kind, 'confirm_with_password');
    for (const [name, value] of current) browser.cookies.set(name, value);
    t.equal((await browser.go(await confirmationPath(service, person))).kind, 'confirmed');
    t.equal((await browser.call('/auth/refresh')).status, 200, 'the refresh token was not used up');
  });

  t.test('and by a session that is idle for too long, or of a disabled account, nobody is known', async (t) => {
    const [ada, bob] = [await register(service), await register(service)];
    // A mail to who is disabled before its turn has come is not sent.
    const [toAda, toBob] = [await confirmationPath(service, ada), await confirmationPath(service, bob)];
    const [idle, disabled] = [openBrowser(service), openBrowser(service)];
    await idle.logIn(ada);
    await disabled.logIn(bob);
    const { services } = service.app;
    await disableUser(services, await requireNamedUser(services.db, bob.id));
    t.equal((await disabled.go(toBob)).kind, 'confirm_with_password');
    service.clock.advance({ days: 1, minutes: 1 });
    t.equal((await idle.go(toAda)).kind, 'expired_with_password');
  });

  t.test('and two credentials that differ are refused', async (t) => {
    const [ada, bob] = [await register(service), await register(service)];
    const path = await confirmationPath(service, ada);
    const browser = openBrowser(service);
    await browser.logIn(ada);
    const [access, refreshToken] = [browser.cookies.get('access'), browser.cookies.get('refresh')];
    const ambiguous = [
      { authorization: `Bearer ${await logIn(service, bob)}` },
      { cookie: `access=${access}; access=x` },
      { cookie: `refresh=${refreshToken}; refresh=x` },
    ];
    for (const headers of ambiguous) t.match(await browser.go(path, headers), { status: 400, kind: 'failed' });
    browser.cookies.delete('access');
    const unreadable = await browser.go(path, { authorization: 'Basic YTpi' });
    t.match(unreadable, { kind: 'confirm_with_password' }, 'a cookie takes no place of a header');
    t.equal((await browser.go(path)).kind, 'confirmed');
  });

  t.test('and another user agent has to show the refresh cookie', async (t) => {
    const person = await register(service);
    const path = await confirmationPath(service, person);
    const browser = openBrowser(service);
    await browser.logIn(person);
    const kept = browser.cookies.get('refresh') ?? '';
    browser.cookies.delete('refresh');
    t.equal((await browser.go(path, otherAgent)).kind, 'confirm_with_password');
    browser.cookies.set('refresh', kept);
    t.equal((await browser.go(path, otherAgent)).kind, 'confirmed');
  });
});

t.test('with SESSION_PROTECTION=strong no other user agent is known by any cookie', async (t) => {
  const service = await startService(t, { SESSION_PROTECTION: 'strong' });
  const person = await register(service);
  const path = await confirmationPath(service, person);
  const [browser, stolen] = [openBrowser(service), openBrowser(service)];
  await browser.logIn(person);
  const access = browser.cookies.get('access') ?? '';
  browser.cookies.delete('access');
  t.match(await browser.go(path, otherAgent), { status: 401, kind: 'confirm_with_password' });
  t.equal((await browser.call('/auth/refresh')).status, 200, 'of which the session does not die');
  await stolen.logIn(person);
  t.match(await stolen.go(path, { ...otherAgent, purpose: 'prefetch' }), { kind: 'confirm' }, 'looking ahead tells nothing of it');
  t.match(await stolen.go(path, otherAgent), { status: 401, kind: 'confirm_with_password' });
  t.match(await stolen.go(path), { status: 401, kind: 'confirm_with_password' }, 'the session has ended');
  t.not(access, browser.cookies.get('access'));
  t.match(await browser.go(path), { status: 200, kind: 'confirmed' }, 'the other one has not');
});
