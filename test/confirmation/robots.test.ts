import t from 'tap';
import { users } from '../../src/db/schema.ts';
import { browserAccept, linkPaths, openBrowser } from '../support/pages.ts';
import { confirmedPerson, emailChangeToken, logIn, type Person, register, resetToken } from '../support/person.ts';
import { type Service, startService } from '../support/service.ts';
import { openTables } from '../support/tables.ts';

const agents = {
  SafeLinks:
    'Mozilla/5.0 (Windows NT 10.0; Win64; x64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/80.0.3987.149 Safari/537.36 SafeLinks',
  'a scanner of Barracuda': 'Barracuda Sentinel (EE)',
  'a preview of Slack': 'Slackbot-LinkExpanding 1.0 (+https://api.slack.com/robots)',
  curl: 'curl/8.5.0',
};
const foresight = {
  'Sec-Purpose': { 'sec-purpose': 'prefetch' },
  'Sec-Purpose, to render': { 'sec-purpose': 'prefetch;prerender' },
  Purpose: { purpose: 'prefetch' },
  'X-Purpose': { 'x-purpose': 'preview' },
  'X-Moz': { 'x-moz': 'prefetch' },
};
/** What robots accept. Who asks for JSON alone is a client, and CONFIRM_POLICY=link confirms for it. */
const accepts = { anything: '*/*', pages: browserAccept, 'images first': 'image/webp,image/*,*/*;q=0.8', nothing: '' };

/** Everything that a robot does with one link. */
async function robotsAt(service: Service, path: string): Promise<void> {
  for (const userAgent of Object.values(agents)) {
    for (const accept of Object.values(accepts)) {
      const headers = { 'user-agent': userAgent, accept };
      for (const method of ['HEAD', 'OPTIONS', 'GET', 'GET'] as const) await calm(service.request(method, path, { headers }));
      await calm(service.get(`${path}?utm_source=mail`, { headers }));
    }
    await calm(service.get(path, { headers: { 'user-agent': userAgent } }));
  }
  for (const headers of Object.values(foresight)) {
    for (const accept of [...Object.values(accepts), 'application/json'])
      await calm(service.get(path, { headers: { ...headers, accept } }));
  }
}

async function calm(answering: Promise<{ readonly status: number }>): Promise<void> {
  const { status } = await answering;
  if (status >= 500) throw new Error(`a robot was answered ${status}`);
}

/** The browser of somebody who is logged in, looking ahead: with the cookies, and as a client with the token. */
async function browserLooksAhead(service: Service, path: string, person: Person): Promise<void> {
  const browser = openBrowser(service);
  await browser.logIn(person);
  const token = await logIn(service, person);
  for (const headers of Object.values(foresight)) {
    for (const accept of [...Object.values(accepts), 'application/json']) {
      await calm(browser.go(path, { ...headers, accept }));
      await calm(service.get(path, { token, headers: { ...headers, accept } }));
    }
  }
  for (const method of ['HEAD', 'OPTIONS'] as const) await calm(service.request(method, path, { token }));
}

for (const policy of ['session', 'link']) {
  t.test(`R17, C04: robots that fetch every mailed link change nothing, with CONFIRM_POLICY=${policy}`, async (t) => {
    const service = await startService(t, { CONFIRM_POLICY: policy });
    const tables = openTables(t, service);
    const [ada, bob] = [await register(service), await confirmedPerson(service)];
    const [confirmation = '', disown = ''] = await linkPaths(service, ada.email);
    const reset = `/auth/password/reset/${await resetToken(service, bob)}`;
    const change = `/auth/email/confirm/${await emailChangeToken(service, bob, `new.${bob.email}`)}`;
    const accounts = async () => (await tables.select().from(users)).sort((a, b) => a.id.localeCompare(b.id));
    const before = await accounts();
    const links = {
      confirmation: { path: confirmation, owner: ada },
      disown: { path: disown, owner: ada },
      reset: { path: reset, owner: bob },
      change: { path: change, owner: bob },
    };

    for (const [what, { path, owner }] of Object.entries(links)) {
      t.match(path, /^\/auth\/[a-z/]+\/[\w.-]{100,}$/, `there is a link: ${what}`);
      await robotsAt(service, path);
      t.strictSame(await accounts(), before, `robots change nothing: ${what}`);
      await browserLooksAhead(service, path, owner);
      t.strictSame(await accounts(), before, `looking ahead changes nothing: ${what}`);
    }

    t.test('and each link works afterwards', async (t) => {
      const nobody = openBrowser(service);
      const entered = { password: bob.password };
      t.equal((await nobody.submit(await nobody.go(change), entered)).kind, 'email_changed');
      t.equal((await nobody.go(reset)).kind, 'reset_used', 'the address has changed');
      t.equal((await nobody.go(disown)).kind, 'disown');
      const own = openBrowser(service);
      await own.logIn(ada);
      t.equal((await own.go(confirmation)).kind, 'confirmed');
      t.equal((await nobody.go(disown)).kind, 'disown_confirmed');
    });
  });

  t.test(`R17: a page that was fetched ahead does, once somebody clicks, with CONFIRM_POLICY=${policy}`, async (t) => {
    const service = await startService(t, { CONFIRM_POLICY: policy });
    const [ada, bob] = [await register(service), await register(service)];
    const own = openBrowser(service);
    await own.logIn(ada);
    const [path = '', disown = ''] = await linkPaths(service, ada.email);
    const page = await own.go(path, { 'sec-purpose': 'prefetch' });
    t.match(page, { status: 200, kind: 'confirm' });
    t.equal((await own.submit(page)).kind, 'confirmed');
    t.equal((await own.go(disown, { 'sec-purpose': 'prefetch' })).kind, 'disown_confirmed');

    const [other = '', cancel = ''] = await linkPaths(service, bob.email);
    const nobody = openBrowser(service);
    const ahead = await nobody.go(other, { purpose: 'prefetch' });
    const next = await nobody.submit(ahead);
    t.equal(next.kind, policy === 'link' ? 'confirmed' : 'confirm_with_password');
    if (policy === 'session') t.equal((await nobody.submit(await nobody.go(cancel, { purpose: 'prefetch' }))).kind, 'disowned');
    service.clock.advance({ minutes: 61 });
    t.match(await nobody.go(path, { purpose: 'prefetch' }), { status: 410, kind: 'expired_with_password' });
  });
}
