import { once } from 'node:events';
import { readFileSync } from 'node:fs';
import { createServer } from 'node:http';
import { createRequire } from 'node:module';
import type { AddressInfo } from 'node:net';
import type { BrowserContext, Page } from 'playwright-core';
import t, { type Test } from 'tap';
import { noBrowser, startBrowser } from '../support/browser.ts';
import { linksOf } from '../support/mail-server.ts';
import { type Person, register } from '../support/person.ts';
import { startService } from '../support/service.ts';

const axe = readFileSync(createRequire(import.meta.url).resolve('axe-core/axe.min.js'), 'utf8');

declare const window: { axe: { run(options: object): Promise<{ violations: { id: string; nodes: { html: string }[] }[] }> } };

/** Finds the newest link of a kind in the mails to an address, as it is reached in the test. */
type FindLink = (address: string, path: string, count?: number) => Promise<string>;

/** A service that listens, a browser, and ways between them. */
async function open(t: Test, overrides: Record<string, string> = {}) {
  const service = await startService(t, overrides);
  const origin = (await service.listen()).replace('127.0.0.1', 'localhost');
  const { device } = await startBrowser(t);
  const link: FindLink = async (address, path, count = 1) => {
    const mail = await service.mailServer.mailTo(address, count);
    const found = linksOf(mail).find((each) => each.includes(path));
    return `${origin}${new URL(found ?? 'http://no.link/').pathname}`;
  };
  /** Logs a device in, by cookie, as an application on the same origin does. */
  async function logIn(context: BrowserContext, { username, password }: Person): Promise<void> {
    const { status } = await send(context, '/auth/login', { username, password, transport: 'cookie' });
    if (status !== 200) throw new Error(`login answered ${status}`);
  }
  async function send(context: BrowserContext, path: string, data: object) {
    const headers = { 'sec-fetch-site': 'same-origin' };
    const answer = await context.request.post(origin + path, { data, headers });
    return { status: answer.status() };
  }
  return { service, origin, device, link, logIn, send };
}

const kindOf = (page: Page) => page.locator('body').getAttribute('data-page');

/** Follows a link as a click in a mail program does: from another site, without a referrer. */
async function click(context: BrowserContext, url: string): Promise<Page> {
  const page = await context.newPage();
  await page.goto(url);
  return page;
}

/** Nothing on the page that axe-core finds fault with, nothing wider than the screen, in both appearances, small and large. */
async function assertAccessible(t: Test, page: Page): Promise<void> {
  const kind = await kindOf(page);
  for (const colorScheme of ['light', 'dark'] as const) {
    for (const width of [320, 1280]) {
      await page.emulateMedia({ colorScheme });
      await page.setViewportSize({ width, height: 640 });
      const overflow = await page.evaluate('document.documentElement.scrollWidth - document.documentElement.clientWidth');
      t.equal(overflow, 0, `${kind} fits ${width} px`);
      const { violations } = await audit(page);
      t.strictSame(violations, [], `${kind} is accessible, ${colorScheme} at ${width} px`);
    }
  }
}

/** The page's policy lets no script in; the audit comes by way of the debugger. */
async function audit(page: Page) {
  await page.evaluate(`${axe}; undefined`);
  const result = await page.evaluate(() => window.axe.run({ resultTypes: ['violations'] }));
  return { violations: result.violations.map(({ id, nodes }) => `${id}: ${nodes.map(({ html }) => html).join(' ')}`) };
}

t.test('a person with a mailed link', { skip: noBrowser }, async (t) => {
  const { service, device, link, logIn, send } = await open(t);
  const { clock } = service;

  t.test('opens it in the browser that they are logged in with', async (t) => {
    const ada = await register(service);
    const own = await device();
    await logIn(own, ada);
    const page = await click(own, await link(ada.email, '/auth/confirm/'));
    t.equal(await kindOf(page), 'confirmed');
    await assertAccessible(t, page);
    t.equal(await kindOf(await click(own, await link(ada.email, '/auth/confirm/'))), 'already_confirmed');
  });

  t.test('opens it there when the access token has run out meanwhile', async (t) => {
    const ada = await register(service);
    const url = await link(ada.email, '/auth/confirm/');
    const own = await device();
    await logIn(own, ada);
    clock.advance({ minutes: 6 });
    const before = await own.cookies();
    t.equal(await kindOf(await click(own, url)), 'confirmed');
    t.strictSame(await own.cookies(), before, 'no cookie is set');
  });

  t.test('opens it on another device, and enters the password', async (t) => {
    const ada = await register(service);
    const phone = await device({ viewport: { width: 360, height: 640 } });
    const page = await click(phone, await link(ada.email, '/auth/confirm/'));
    t.equal(await kindOf(page), 'confirm_with_password');
    await assertAccessible(t, page);
    t.equal(await page.evaluate('document.activeElement.name'), 'password', 'the input has the focus');
    await page.fill('[name=password]', 'a wrong one');
    await page.click('button');
    t.equal(await page.locator('[name=password]').getAttribute('aria-invalid'), 'true');
    await assertAccessible(t, page);
    await page.fill('[name=password]', ada.password);
    await page.click('button');
    t.equal(await kindOf(page), 'confirmed');
    t.strictSame(await phone.cookies(), [], 'nobody is logged in by that');
  });

  t.test('opens it where somebody else is logged in, who then leaves', async (t) => {
    const [ada, bob] = [await register(service), await register(service)];
    const shared = await device();
    await logIn(shared, bob);
    const page = await click(shared, await link(ada.email, '/auth/confirm/'));
    t.equal(await kindOf(page), 'wrong_account');
    t.match(await page.textContent('main'), bob.username, 'it says who is logged in');
    await assertAccessible(t, page);
    await page.click('button');
    t.equal(await kindOf(page), 'confirm_with_password');
    t.strictSame(await shared.cookies(), [], 'bob is logged out');
    await page.fill('[name=password]', ada.password);
    await page.click('button');
    t.equal(await kindOf(page), 'confirmed');
  });

  t.test('opens it too late, and gets another one', async (t) => {
    const [ada, eve] = [await register(service), await register(service)];
    const [url, otherUrl] = [await link(ada.email, '/auth/confirm/'), await link(eve.email, '/auth/confirm/')];
    clock.advance({ minutes: 61 });
    const own = await device();
    await logIn(own, ada);
    const page = await click(own, url);
    t.equal(await kindOf(page), 'expired');
    await assertAccessible(t, page);
    await page.click('button');
    t.equal(await kindOf(page), 'mail_sent');
    await assertAccessible(t, page);
    t.equal(await kindOf(await click(own, await link(ada.email, '/auth/confirm/', 2))), 'confirmed');

    const elsewhere = await click(await device(), otherUrl);
    t.equal(await kindOf(elsewhere), 'expired_with_password');
    await assertAccessible(t, elsewhere);
    await elsewhere.fill('[name=password]', eve.password);
    await elsewhere.click('button');
    t.equal(await kindOf(elsewhere), 'mail_sent');
    const next = await click(await device(), await link(eve.email, '/auth/confirm/', 2));
    t.equal(await kindOf(next), 'confirm_with_password');
  });

  t.test('has mangled it', async (t) => {
    const page = await click(await device({ locale: 'de-DE' }), `${await link((await register(service)).email, '/auth/confirm/')}x`);
    t.equal(await kindOf(page), 'invalid');
    t.equal(await page.locator('html').getAttribute('lang'), 'de');
    await assertAccessible(t, page);
  });

  t.test('has forgotten the password, and sets a new one', async (t) => {
    const ada = await register(service);
    const phone = await device();
    await send(phone, '/auth/password/forgot', { email: ada.email });
    const url = await link(ada.email, '/auth/password/reset/', 2);
    const page = await click(phone, url);
    t.equal(await kindOf(page), 'reset');
    await assertAccessible(t, page);
    const next = 'a new password of mine';
    for (const [first, second, wrong] of [
      ['short', 'short', 'newPassword'],
      ['password1', 'password1', 'newPassword'],
      [next, `${next}!`, 'newPasswordConfirmation'],
    ] as const) {
      await page.fill('[name=newPassword]', first);
      await page.fill('[name=newPasswordConfirmation]', second);
      await page.click('button');
      t.equal(await page.locator(`[name=${wrong}]`).getAttribute('aria-invalid'), 'true', `${first}, ${second}`);
      await page.locator(`[name=${wrong}]:focus`).waitFor();
    }
    await assertAccessible(t, page);
    await page.fill('[name=newPassword]', next);
    await page.fill('[name=newPasswordConfirmation]', next);
    await page.click('button');
    t.equal(await kindOf(page), 'reset_done');
    t.strictSame(await phone.cookies(), [], 'nobody is logged in by that');
    t.equal((await service.post('/auth/login', { email: ada.email, password: next })).status, 200);

    const again = await click(phone, url);
    t.equal(await kindOf(again), 'reset_used');
    await assertAccessible(t, again);

    await send(phone, '/auth/password/forgot', { email: ada.email });
    // The third is the notice.
    const late = await link(ada.email, '/auth/password/reset/', 4);
    clock.advance({ minutes: 61 });
    const expired = await click(phone, late);
    t.equal(await kindOf(expired), 'reset_expired');
    await assertAccessible(t, expired);
    await expired.click('button');
    t.equal(await kindOf(expired), 'mail_sent');
    t.equal(await kindOf(await click(phone, await link(ada.email, '/auth/password/reset/', 5))), 'reset');
  });

  t.test('has asked for another address', async (t) => {
    const ada = await register(service);
    const own = await device();
    await logIn(own, ada);
    const newEmail = `new.${ada.email}`;
    t.equal((await send(own, '/auth/email', { newEmail, password: ada.password })).status, 202);
    const url = await link(newEmail, '/auth/email/confirm/');
    const page = await click(await device(), url);
    t.equal(await kindOf(page), 'change_email_with_password');
    await assertAccessible(t, page);
    t.equal(await kindOf(await click(own, url)), 'email_changed');
    await page.fill('[name=password]', ada.password);
    await page.click('button');
    t.equal(await kindOf(page), 'used', 'it has happened meanwhile');
    await assertAccessible(t, page);
  });

  t.test('has never registered', async (t) => {
    const mallory = await register(service);
    const [url, confirmation] = [await link(mallory.email, '/auth/disown/'), await link(mallory.email, '/auth/confirm/')];
    const page = await click(await device(), url);
    t.equal(await kindOf(page), 'disown');
    await assertAccessible(t, page);
    await page.click('button');
    t.equal(await kindOf(page), 'disowned');
    await assertAccessible(t, page);
    t.equal((await service.post('/auth/login', { email: mallory.email, password: mallory.password })).status, 401, 'the account is gone');
    t.equal(await kindOf(await click(await device(), confirmation)), 'invalid');
  });
});

/** An application that does nothing, and the addresses at which it was visited. */
async function serveApplication(t: Test) {
  const visits: string[] = [];
  const server = createServer(({ url = '' }, response) => {
    if (url !== '/favicon.ico') visits.push(url);
    response.setHeader('content-type', 'text/html').end('<!doctype html><title>An application</title>');
  }).listen(0, '127.0.0.1');
  await once(server, 'listening');
  t.teardown(() => {
    server.closeAllConnections();
    server.close();
  });
  return { visits, url: `http://127.0.0.1:${(server.address() as AddressInfo).port}/welcome?from=mail` };
}

t.test('a person whose application is elsewhere is sent on to it', { skip: noBrowser }, async (t) => {
  const application = await serveApplication(t);
  const { service, origin, device, link, logIn } = await open(t, { APP_URL: application.url });
  const own = await device();
  const ada = await register(service);
  const url = await link(ada.email, '/auth/confirm/');
  const page = await click(own, url);
  t.equal(await kindOf(page), 'confirm_with_password', 'but not while there is something to do');
  await page.fill('[name=password]', ada.password);
  await page.click('button');
  await page.waitForURL(`${new URL(application.url).origin}/**`);
  await logIn(own, ada);
  await click(own, url);
  await click(own, `${origin}/auth/confirm/nonsense`);
  service.clock.advance({ minutes: 61 });
  await click(own, url);
  const expected = ['confirmed', 'already_confirmed', 'invalid', 'expired'];
  t.strictSame(
    application.visits,
    expected.map((status) => `/welcome?from=mail&confirmation=${status}`),
  );
});
