import { once } from 'node:events';
import { existsSync } from 'node:fs';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { type BrowserContext, chromium, type Page } from 'playwright-core';
import t, { type Test } from 'tap';
import { confirmedPerson } from '../support/person.ts';
import { startService } from '../support/service.ts';

const executablePath = '/usr/bin/chromium';
const skip = existsSync(executablePath) || process.env['CI'] !== undefined ? false : `there is no browser at ${executablePath}`;

/** An application of a page that does nothing by itself, on an origin of its own. */
async function serveApplication(t: Test): Promise<string> {
  const server = createServer((_request, response) => {
    response.setHeader('content-type', 'text/html').end('<!doctype html><title>An application</title>');
  }).listen(0, '127.0.0.1');
  await once(server, 'listening');
  t.teardown(() => {
    server.closeAllConnections();
    server.close();
  });
  return `http://localhost:${(server.address() as AddressInfo).port}`;
}

async function openPage(context: BrowserContext, url: string): Promise<Page> {
  const page = await context.newPage();
  await page.goto(url);
  return page;
}

t.test('an application in a browser, on an origin of its own', { skip }, async (t) => {
  const [listed, unlisted] = [await serveApplication(t), await serveApplication(t)];
  const service = await startService(t, { CORS_ORIGINS: listed });
  const api = (await service.listen()).replace('127.0.0.1', 'localhost');
  const { email, password, username } = await confirmedPerson(service);
  const browser = await chromium.launch({ executablePath, args: ['--no-sandbox', '--disable-gpu', '--disable-background-networking'] });
  t.teardown(() => browser.close());
  const context = await browser.newContext();
  const tabs = [await openPage(context, listed), await openPage(context, listed)] as const;
  const [tab] = tabs;
  const elsewhere = await openPage(context, unlisted);

  /** What the page's own script gets to see: the answer, or only that there is none. */
  function ask(page: Page, method: 'GET' | 'POST', path: string, content?: object, mode: 'cors' | 'no-cors' = 'cors') {
    const init = { method, mode, ...(content && { body: JSON.stringify(content), headers: { 'content-type': 'application/json' } }) };
    const visit = async ([url, options]: readonly [string, RequestInit]) => {
      try {
        const answer = await fetch(url, { ...options, credentials: 'include' });
        return { status: answer.status, text: await answer.text() };
      } catch (error) {
        return { status: String(error), text: '' };
      }
    };
    return page.evaluate(visit, [api + path, init] as const);
  }
  const logIn = (page: Page, transport = 'cookie') => ask(page, 'POST', '/auth/login', { email, password, transport });

  t.match(await ask(tab, 'GET', '/auth/me'), { status: 401 }, 'nobody is logged in');
  t.match(await logIn(elsewhere), { status: /TypeError/ }, 'an origin that is not listed cannot log in');
  t.strictSame(await context.cookies(api), []);

  const { status, text } = await logIn(tab);
  t.equal(status, 200);
  t.match(JSON.parse(text), { user: { username }, accessToken: undefined, refreshToken: undefined });
  const cookies = await context.cookies(api);
  t.match(
    cookies.map(({ name, httpOnly, sameSite, expires }) => ({ name, httpOnly, sameSite, expires })),
    ['access', 'refresh'].map((name) => ({ name, httpOnly: true, sameSite: 'Lax', expires: -1 })),
  );
  t.equal(await tab.evaluate('document.cookie'), '', 'no script reads the tokens');
  for (const each of tabs) t.match(JSON.parse((await ask(each, 'GET', '/auth/me')).text), { user: { username } }, 'in every tab');
  t.equal((await ask(tab, 'GET', '/secret')).status, 200);

  t.match(await ask(elsewhere, 'GET', '/auth/me'), { status: /TypeError/ }, 'the other origin reads nothing');
  t.match(await ask(elsewhere, 'POST', '/auth/refresh'), { status: /TypeError/ }, 'nor the answer to a request that needs no preflight');
  t.match(await ask(elsewhere, 'POST', '/auth/logout', undefined, 'no-cors'), { status: /TypeError/ }, 'nor that there is one');
  const outcomes = service.log.map((line) => JSON.parse(line)).filter(({ code }) => code === 'cross_origin_rejected');
  t.match(
    outcomes,
    [
      { route: '/auth/refresh', status: 403 },
      { route: '/auth/logout', status: 403 },
    ],
    'and both were refused',
  );
  t.strictSame(await context.cookies(api), cookies, 'nothing has changed');

  const refreshes = await Promise.all(tabs.map((each) => ask(each, 'POST', '/auth/refresh')));
  t.match(refreshes, [{ status: 200 }, { status: 200 }], 'both tabs refresh at once');
  const refreshIn = (all: typeof cookies) => all.find(({ name }) => name === 'refresh')?.value;
  t.not(refreshIn(await context.cookies(api)), refreshIn(cookies));
  for (const each of tabs) t.equal((await ask(each, 'GET', '/auth/me')).status, 200, 'and the session lives');
  t.equal((await ask(tab, 'POST', '/auth/refresh')).status, 200);

  t.equal((await ask(tab, 'POST', '/auth/logout')).status, 204);
  t.strictSame(await context.cookies(api), [], 'the browser has forgotten them');
  for (const each of tabs) t.equal((await ask(each, 'GET', '/auth/me')).status, 401);
  t.equal((await ask(tabs[1], 'POST', '/auth/refresh')).status, 401);
});
