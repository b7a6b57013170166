import t from 'tap';
import { setCookies } from '../support/cookies.ts';
import { browserAccept, disownPath, openBrowser, type Visited } from '../support/pages.ts';
import { confirmationPath, confirmedPerson, emailChangeToken, logIn, register, resetToken } from '../support/person.ts';
import { refused } from '../support/refusal.ts';
import { startService } from '../support/service.ts';

const maxPageBytes = 15 * 1024;

/** What says of HTML that it is not wanted, and what says something like it. */
const refusing = [
  'application/json, text/html;q=0',
  'text/html;q=0',
  'text/html; level=1 ; Q=0.000, */*',
  'text/html;q=0,application/json',
];
const wanting = ['text/html;q=0.001', 'text/html;q=0,text/html;level=1', 'application/json;q=0,text/html', 'text/html;aq=0'];

t.test('the answer to a mailed link', async (t) => {
  const service = await startService(t, { SERVICE_NAME: '<b>Tom</b> & "Jerry\'s"' });
  const { clock } = service;
  const browser = openBrowser(service);

  t.test('is JSON for clients, and a page for browsers', async (t) => {
    const ada = await register(service);
    const bob = await confirmedPerson(service);
    const links = {
      confirm_with_password: await confirmationPath(service, ada),
      disown: await disownPath(service, ada),
      reset: `/auth/password/reset/${await resetToken(service, bob)}`,
      change_email_with_password: `/auth/email/confirm/${await emailChangeToken(service, bob, 'new.bob@example.com')}`,
    };
    for (const [kind, path] of Object.entries(links)) {
      for (const accept of [
        '*/*',
        'application/json',
        'application/json, */*',
        'text/plain',
        'image/*',
        'application/xhtml+xml',
        '',
        ...refusing,
      ]) {
        const answer = await service.get(path, { headers: { accept } });
        t.match(answer.headers['content-type'], /^application\/(?:problem\+)?json/, `${kind}: ${accept}`);
      }
      t.match((await service.get(path)).headers['content-type'], /json/, `${kind}: no Accept at all`);
      for (const accept of [browserAccept, 'text/html', 'TEXT/HTML;level=1', 'application/json;q=0.5,text/html', ...wanting]) {
        const page = await browser.go(path, { accept });
        t.match(page, { kind, headers: { 'content-type': 'text/html; charset=utf-8' } }, `${kind}: ${accept}`);
      }
    }
  });

  t.test('has the same status either way', async (t) => {
    const [ada, bob, eve] = [await register(service), await register(service), await confirmedPerson(service)];
    const live = await confirmationPath(service, ada);
    const [disown, reset] = [await disownPath(service, ada), `/auth/password/reset/${await resetToken(service, eve)}`];
    const change = `/auth/email/confirm/${await emailChangeToken(service, eve, 'new.eve@example.com')}`;
    const token = await logIn(service, bob);
    const compare = async (path: string, expected: { status: number; kind: string; code?: string }, session?: string) => {
      const headers = { ...(session && { authorization: `Bearer ${session}` }), 'user-agent': 'lightMyRequest' };
      const json = await service.get(path, { headers });
      t.equal(json.status, expected.status, expected.kind);
      if (expected.code !== undefined) t.equal(json.body.code, expected.code);
      t.match(await browser.go(path, headers), { status: expected.status, kind: expected.kind });
    };
    await compare(live, { status: 401, kind: 'confirm_with_password', code: 'unauthenticated' });
    await compare(live, { status: 403, kind: 'wrong_account', code: 'wrong_account' }, token);
    await compare(change, { status: 401, kind: 'change_email_with_password', code: 'unauthenticated' });
    await compare(change, { status: 403, kind: 'wrong_account', code: 'wrong_account' }, token);
    await compare(reset, { status: 200, kind: 'reset' });
    await compare(disown, { status: 200, kind: 'disown' });
    const forged = { status: 400, kind: 'invalid', code: 'invalid_token' };
    for (const path of [live, change, reset, disown]) await compare(`${path}x`, forged);
    const own = await logIn(service, ada);
    t.match(await service.get(live, { token: own }), { status: 200, body: { status: 'confirmed' } });
    await compare(live, { status: 200, kind: 'already_confirmed' }, own);
    await compare(disown, { status: 409, kind: 'disown_confirmed', code: 'already_confirmed' });
    t.equal((await service.get(change, { token: eve.token })).status, 200);
    await compare(change, { status: 410, kind: 'used', code: 'used_token' });
    await compare(reset, { status: 410, kind: 'reset_used', code: 'used_token' });
    clock.advance({ minutes: 61 });
    await compare(live, { status: 410, kind: 'expired_with_password', code: 'expired_token' });
    await compare(reset, { status: 410, kind: 'reset_used', code: 'expired_token' });
    clock.advance({ days: 7 });
    await compare(disown, { status: 410, kind: 'invalid', code: 'expired_token' });
  });

  t.test('that nobody can read as a page is a problem', async (t) => {
    refused(t, await browser.go(`/auth/confirm/${'a'.repeat(5000)}`), 414, 'uri_too_long');
    refused(t, await browser.go('/auth/confirm/a%00b'), 400, 'malformed_request');
    refused(t, await browser.go('/auth/nowhere'), 404, 'not_found');
  });

  /** What every page must be like, whatever it says. */
  function examine(t: import('tap').Test, page: Visited, token: string): void {
    const { kind, headers, text } = page;
    t.match(
      headers,
      {
        'content-type': 'text/html; charset=utf-8',
        'content-language': 'en',
        'cache-control': 'no-store',
        'referrer-policy': 'no-referrer',
        'x-content-type-options': 'nosniff',
        'x-frame-options': 'DENY',
        'cross-origin-resource-policy': 'same-origin',
      },
      `${kind}`,
    );
    const policy = "default-src 'none'; style-src 'self'; form-action 'self'; frame-ancestors 'none'; base-uri 'none'";
    t.equal(headers['content-security-policy'], policy, `${kind}: the policy`);
    t.notMatch(text, /<script|<style|\bstyle=|\bon\w+=|javascript:|<img|<iframe|<base/i, `${kind}: nothing inline`);
    const addresses = [...text.matchAll(/\b(?:href|src|action|url|content)="([^"]*)"/g)].map(([, address = '']) => address);
    t.strictSame(
      addresses.filter((each) => /^[a-z]+:|^\/\//i.test(each)),
      [],
      `${kind}: nothing from elsewhere`,
    );
    t.ok(Buffer.byteLength(text) < maxPageBytes, `${kind}: ${Buffer.byteLength(text)} bytes`);
    t.notMatch(text, /<b>|"Jerry|undefined|\[object|<%/, `${kind}: names are escaped`);
    t.match(text, /&lt;b&gt;Tom&lt;\/b&gt; &amp; &quot;Jerry&#39;s&quot;/, `${kind}: names the service`);
    t.notOk(text.replace(/ action="[^"]*"/, '').includes(token), `${kind}: the token is in the form's action only`);
    t.strictSame(setCookies(page), [], `${kind}: C14: no cookie`);
  }

  t.test('C12, C14: is a page that leaks nothing, runs nothing and sets nothing, whichever it is', async (t) => {
    const seen = new Set<string | undefined>();
    const look = (page: Visited, token: string) => {
      seen.add(page.kind);
      examine(t, page, token);
      return page;
    };
    const tokenOf = (path: string) => path.slice(path.lastIndexOf('/') + 1);
    const details = (name: string) => ({ email: `o'${name}&{x}=\`y@example.com`, username: name, password: `a password of ${name}` });
    const [ada, bob, eve] = [await register(service, details('Ada')), await register(service, details('Bob')), await register(service)];
    const [link, otherLink] = [await confirmationPath(service, ada), await confirmationPath(service, bob)];
    const [own, others, nobody] = [openBrowser(service), openBrowser(service), openBrowser(service)];
    await own.logIn(ada);
    await others.logIn(bob);

    look(await nobody.go(link), tokenOf(link));
    look(await others.go(link), tokenOf(link));
    look(await own.go(link, { purpose: 'prefetch' }), tokenOf(link));
    look(await own.go(link), tokenOf(link));
    look(await own.go(link), tokenOf(link));
    const disown = await disownPath(service, bob);
    look(await nobody.go(disown.replace('/auth/disown/', '/auth/confirm/')), tokenOf(disown));
    const page = look(await nobody.go(disown), tokenOf(disown));
    look(await nobody.go(await disownPath(service, ada)), tokenOf(await disownPath(service, ada)));

    const token = await logIn(service, ada);
    const change = `/auth/email/confirm/${await emailChangeToken(service, { ...ada, token }, "a'b&c@example.com")}`;
    look(await nobody.go(change), tokenOf(change));
    look(await own.go(change, { purpose: 'prefetch' }), tokenOf(change));
    look(await own.go(change), tokenOf(change));
    look(await own.go(change), tokenOf(change));
    const reset = `/auth/password/reset/${await resetToken(service, eve)}`;
    const form = look(await nobody.go(reset), tokenOf(reset));
    const next = 'a new password of mine';
    look(await nobody.submit(form, { newPassword: 'short', newPasswordConfirmation: 'short' }), tokenOf(reset));
    look(await nobody.submit(form, { newPassword: next, newPasswordConfirmation: next }), tokenOf(reset));
    look(await nobody.go(reset), tokenOf(reset));
    look(await nobody.submit(page), tokenOf(disown));

    const [fay, gus] = [await register(service), await confirmedPerson(service)];
    const [late, taken] = [
      await confirmationPath(service, fay),
      `/auth/email/confirm/${await emailChangeToken(service, gus, 'both@example.com')}`,
    ];
    await register(service, { ...details('Ivy'), email: 'both@example.com' });
    look(await nobody.submit(await nobody.go(taken), { password: gus.password }), tokenOf(taken));
    const lateReset = `/auth/password/reset/${await resetToken(service, gus)}`;
    const crossed = await own.submit({ action: late, fields: { proof: 'x' } }, {}, { 'sec-fetch-site': 'cross-site' });
    look(crossed, tokenOf(late));
    clock.advance({ minutes: 61 });
    await own.logIn(fay);
    look(await nobody.go(late), tokenOf(late));
    look(await own.go(late), tokenOf(late));
    const expired = look(await nobody.go(lateReset), tokenOf(lateReset));
    look(await nobody.submit(expired), tokenOf(lateReset));
    t.equal(seen.size, 22, `all kinds of pages: ${[...seen].sort().join(' ')}`);
    t.notOk(
      service.log.some((line) => [link, otherLink, change, reset, disown].some((path) => line.includes(tokenOf(path)))),
      'no token is logged',
    );
  });

  t.test('is in the language of the account, or of the browser when there is none', async (t) => {
    const languageOf = async (path: string, languages?: string) => {
      const { text, headers } = await browser.go(path, languages === undefined ? {} : { 'accept-language': languages });
      const lang = /<html lang="(\w+)">/.exec(text)?.[1];
      t.equal(headers['content-language'], lang);
      return lang;
    };
    for (const [languages, expected] of [
      [undefined, 'en'],
      ['de', 'de'],
      ['de-AT,en;q=0.5', 'de'],
      ['fr, en;q=0.2, de;q=0.1', 'en'],
      ['xx', 'en'],
      ['<script>', 'en'],
    ] as const) {
      t.equal(await languageOf('/auth/confirm/x', languages), expected, `${languages}`);
    }
    const { email, username, password } = { email: 'uli@example.com', username: 'uli', password: 'ein Passwort von Uli' };
    await service.post('/auth/register', { email, username, password, locale: 'de-CH' });
    const path = await confirmationPath(service, { email });
    t.equal(await languageOf(path, 'en'), 'de', 'the account has one');
    t.equal(await languageOf(`/auth/password/reset/${await resetToken(service, { email })}`, 'en'), 'de');
    const ada = await register(service);
    t.equal(await languageOf(await confirmationPath(service, ada), 'de'), 'de', 'the account has none');
  });
});
