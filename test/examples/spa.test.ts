import { readFileSync } from 'node:fs';
import { createRequire } from 'node:module';
import type { APIResponse, BrowserContext, Page, Route } from 'playwright-core';
import t, { type Test } from 'tap';
import { noBrowser, startBrowser } from '../support/browser.ts';
import { eventually } from '../support/eventually.ts';
import { linksOf } from '../support/mail-server.ts';
import { confirmedPerson, newDetails, type Person, register } from '../support/person.ts';
import { startService } from '../support/service.ts';
import { startSpa } from '../support/spa.ts';

const axe = readFileSync(createRequire(import.meta.url).resolve('axe-core/axe.min.js'), 'utf8');

declare const window: { axe: { run(options: object): Promise<{ violations: { id: string; nodes: { html: string }[] }[] }> } };

/** Nothing that axe-core finds fault with, nothing wider than the screen, in both appearances, small and large. */
async function assertAccessible(t: Test, page: Page, what: string): Promise<void> {
  await page.evaluate(`${axe}; undefined`);
  for (const colorScheme of ['light', 'dark'] as const) {
    for (const width of [320, 1280]) {
      await page.emulateMedia({ colorScheme });
      await page.setViewportSize({ width, height: 640 });
      t.equal(
        await page.evaluate('document.documentElement.scrollWidth - document.documentElement.clientWidth'),
        0,
        `${what} fits ${width} px`,
      );
      const { violations } = await page.evaluate(() => window.axe.run({ resultTypes: ['violations'] }));
      const faults = violations.map(({ id, nodes }) => `${id}: ${nodes.map(({ html }) => html).join(' ')}`);
      t.strictSame(faults, [], `${what} is accessible, ${colorScheme} at ${width} px`);
    }
  }
}

const heading = (page: Page) => page.locator('section:not([hidden]) h1').innerText();
const seesHeading = (page: Page, text: string | RegExp) => page.getByRole('heading', { name: text }).waitFor();
const press = (page: Page, name: string) => page.getByRole('button', { name, exact: true }).click();
const complaint = async (page: Page) => {
  await page.locator('#problem:not(:empty)').waitFor();
  return page.getByRole('alert').innerText();
};

async function fill(page: Page, values: Readonly<Record<string, string>>): Promise<void> {
  const form = page.locator('section:not([hidden]) form');
  for (const [label, value] of Object.entries(values)) await form.getByLabel(label).fill(value);
}

/** Everything that the page keeps, as text. */
const whatScriptsCanRead = `new Promise((resolve) => {
  const opening = indexedDB.open('latchkey-session');
  opening.onsuccess = () => {
    const request = opening.result.transaction('latchkey-session').objectStore('latchkey-session').getAll();
    request.onsuccess = () => resolve(JSON.stringify([request.result, { ...localStorage }, document.cookie]));
  };
})`;

/** Keeps answers from the page until they are let go. */
async function holdBack(page: Page, url: string) {
  const held: { route: Route; response: APIResponse }[] = [];
  await page.route(url, async (route) => void held.push({ route, response: await route.fetch() }));
  return {
    isHeld: () => eventually(`there is an answer from ${url}`, () => held.length > 0),
    release: () => Promise.all(held.map(({ route, response }) => route.fulfill({ response }))),
  };
}

t.test('the single-page application of the examples', { skip: noBrowser }, async (t) => {
  const service = await startService(t, { RATE_LIMIT: 'off' });
  const api = (await service.listen()).replace('127.0.0.1', 'localhost');
  const [base, { device }] = await Promise.all([startSpa(t, api), startBrowser(t)]);

  async function open(context: BrowserContext): Promise<Page> {
    const page = await context.newPage();
    page.on('pageerror', (error) => t.fail(`an error of the page: ${error.message}`));
    await page.goto(base);
    await page.locator('section:not([hidden])').waitFor();
    return page;
  }

  async function fillRegistration(page: Page, { email, username, password }: Omit<Person, 'id'>): Promise<void> {
    await fill(page, { 'E-mail address': email, 'User name': username, Password: password });
    await press(page, 'Register');
  }

  async function logIn(page: Page, { username, password }: Pick<Person, 'username' | 'password'>): Promise<void> {
    await fill(page, { 'User name': username, Password: password });
    await press(page, 'Log in');
  }

  const linkTo = async ({ email }: Pick<Person, 'email'>) =>
    api + new URL(linksOf(await service.mailServer.mailTo(email))[0] ?? '').pathname;
  const countOf = (route: string) => service.log.filter((line) => JSON.parse(line).route === route).length;

  t.test('somebody registers, waits for the mail, and is let in when the link is followed elsewhere', async (t) => {
    const ada = newDetails();
    const page = await open(await device());
    t.equal(await heading(page), 'Log in');
    await assertAccessible(t, page, 'the login');
    await page.getByRole('link', { name: 'Register' }).click();
    await seesHeading(page, 'Register');
    await assertAccessible(t, page, 'the registration');
    await fillRegistration(page, ada);
    await seesHeading(page, 'Look into your mail');
    t.equal(await page.evaluate('document.activeElement.innerText'), 'Look into your mail', 'the focus follows');
    await page.getByText(ada.email).waitFor();
    await assertAccessible(t, page, 'the wait');
    const readable = await page.evaluate<string>(whatScriptsCanRead);
    t.match(readable, /"expiresAt":/, 'the session is remembered');
    t.notMatch(readable, /eyJ/, 'no script reads a token');

    const phone = await (await device()).newPage();
    await phone.goto(await linkTo(ada));
    await phone.fill('[name=password]', ada.password);
    await phone.click('button');
    await seesHeading(page, `Hello, ${ada.username}!`);
    await page.getByText('Only confirmed users are allowed!').waitFor();
    await page.getByRole('status').getByText('Your address is confirmed.').waitFor();
    await assertAccessible(t, page, 'the application');

    await page.reload();
    await seesHeading(page, `Hello, ${ada.username}!`);
    await press(page, 'Log out');
    await seesHeading(page, 'Log in');
    await page.getByRole('status').getByText('You are logged out.').waitFor();
    t.notMatch(await page.content(), 'Only confirmed users');
    await page.reload();
    t.equal(await heading(page), 'Log in');
  });

  t.test('the link is followed in another tab of the same browser', async (t) => {
    const ada = await register(service);
    const context = await device();
    const page = await open(context);
    await logIn(page, ada);
    await seesHeading(page, 'Look into your mail');
    await (await context.newPage()).goto(await linkTo(ada));
    await seesHeading(page, `Hello, ${ada.username}!`);
    await page.locator('#status:not(:empty)').waitFor();
    t.equal(await page.locator('#status').innerText(), 'Your address is confirmed.');
  });

  t.test('a tab that waits goes on waiting when its stream and its access token are over', async (t) => {
    const ada = await register(service);
    const page = await open(await device());
    const stream = page.waitForResponse('**/auth/confirm/events');
    await logIn(page, ada);
    await seesHeading(page, 'Look into your mail');
    t.equal((await stream).status(), 200);
    const refused = () => service.log.filter((line) => line.includes('"/auth/confirm/events"') && JSON.parse(line).status === 401).length;
    const before = { refused: refused(), refreshed: countOf('/auth/refresh') };
    service.clock.advance({ minutes: 6 });
    service.app.server.closeAllConnections();
    await eventually('the new stream is refused', () => refused() > before.refused);
    await eventually('the session is refreshed', () => countOf('/auth/refresh') > before.refreshed);
    const phone = await (await device()).newPage();
    await phone.goto(await linkTo(ada));
    await phone.fill('[name=password]', ada.password);
    await phone.click('button');
    await seesHeading(page, `Hello, ${ada.username}!`);
    t.ok(countOf('/auth/confirm/events') > 1);
  });

  t.test('one whose connection fails in the moment of the confirmation says so, and goes on when asked to', async (t) => {
    const ada = await register(service);
    const page = await open(await device());
    await logIn(page, ada);
    await seesHeading(page, 'Look into your mail');
    await page.route('**/secret', (route) => route.abort());
    const phone = await (await device()).newPage();
    await phone.goto(await linkTo(ada));
    await phone.fill('[name=password]', ada.password);
    await phone.click('button');
    t.equal(await complaint(page), 'The service cannot be reached. Try again in a moment.');
    await page.unroute('**/secret');
    await page.reload();
    await seesHeading(page, `Hello, ${ada.username}!`);
  });

  t.test('mistakes are told in words, at their fields', async (t) => {
    const taken = await confirmedPerson(service);
    const page = await open(await device());
    await logIn(page, { ...taken, password: 'not the right one' });
    t.equal(await complaint(page), 'User name or password is wrong.');
    await assertAccessible(t, page, 'a failed login');
    await page.getByRole('link', { name: 'Register' }).click();

    const details = newDetails();
    await fillRegistration(page, { ...details, username: taken.username });
    t.equal(await complaint(page), 'This user name is taken. Choose another one.');
    t.equal(await page.evaluate('document.activeElement.name'), 'username');
    t.equal(await page.getByRole('textbox', { name: 'User name' }).getAttribute('aria-invalid'), 'true');
    await assertAccessible(t, page, 'a failed registration');
    await fillRegistration(page, { ...details, email: taken.email });
    await page.getByText('There is an account with this address. Log in instead.').waitFor();
    await fillRegistration(page, { ...details, password: 'password1' });
    await page.getByText('This password is too easy to guess. Choose another one.').waitFor();
    t.equal(await page.evaluate('document.activeElement.name'), 'password');
    await fillRegistration(page, { ...details, username: '1 2 3' });
    await page.getByText('Please look at the marked fields once more.').waitFor();
    await fillRegistration(page, details);
    await seesHeading(page, 'Look into your mail');
    t.equal(await page.getByRole('alert').innerText(), '', 'what was wrong is over');
  });

  t.test('two tabs refresh once, and a logout is heard of in both', async (t) => {
    const ada = await confirmedPerson(service);
    const context = await device();
    const one = await open(context);
    const other = await open(context);
    await logIn(one, ada);
    for (const page of [one, other]) await seesHeading(page, `Hello, ${ada.username}!`);
    const refreshes: Route[] = [];
    for (const page of [one, other]) await page.route('**/auth/refresh', (route) => void refreshes.push(route));
    const before = { refreshes: countOf('/auth/refresh'), served: servedSecrets() };
    service.clock.advance({ minutes: 6 });
    await Promise.all([one, other].map((page) => press(page, 'Ask for the secret')));
    await eventually('one tab refreshes, and the other waits for it', async () => {
      const { held, pending } = await one.evaluate<{ held: unknown[]; pending: unknown[] }>('navigator.locks.query()');
      return held.length === 1 && pending.length === 1 && refreshes.length > 0;
    });
    t.equal(refreshes.length, 1);
    await refreshes[0]?.continue();
    await eventually('both tabs have their answer', () => servedSecrets() === before.served + 2, 30_000);
    t.equal(countOf('/auth/refresh') - before.refreshes, 1);
    t.equal(refreshes.length, 1);
    await press(other, 'Log out');
    for (const page of [one, other]) await seesHeading(page, 'Log in');

    function servedSecrets(): number {
      return service.log.map((line) => JSON.parse(line)).filter(({ route, status }) => route === '/secret' && status === 200).length;
    }
  });

  t.test('an answer that comes after a logout does not let anybody in', async (t) => {
    const ada = await confirmedPerson(service);
    const context = await device();
    const [one, other] = [await open(context), await open(context)];
    await logIn(one, ada);
    for (const page of [one, other]) await seesHeading(page, `Hello, ${ada.username}!`);
    const answer = await holdBack(one, '**/auth/me');
    await press(one, 'Ask for the secret');
    await answer.isHeld();
    await press(other, 'Log out');
    await seesHeading(one, 'Log in');
    await answer.release();
    await one.evaluate('new Promise(requestAnimationFrame)');
    t.equal(await heading(one), 'Log in');
  });

  t.test('a session that was ended elsewhere leads to the login', async (t) => {
    const ada = await confirmedPerson(service);
    const page = await open(await device());
    await logIn(page, ada);
    await seesHeading(page, `Hello, ${ada.username}!`);
    t.equal((await service.request('DELETE', '/auth/sessions', { token: ada.token })).status, 204);
    await press(page, 'Ask for the secret');
    await seesHeading(page, 'Log in');
  });
});
