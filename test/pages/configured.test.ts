import t from 'tap';
import { stylesheet } from '../../src/pages/stylesheet.ts';
import { setCookies } from '../support/cookies.ts';
import { linkPaths, openBrowser, type Visited } from '../support/pages.ts';
import { confirmationPath, confirmedPerson, emailChangeToken, logIn, register, resetToken } from '../support/person.ts';
import { refused } from '../support/refusal.ts';
import { startService } from '../support/service.ts';

const stylesheetOf = ({ text }: Visited) => /<link rel="stylesheet" href="([^"]*)">/.exec(text)?.[1] ?? '';

t.test('the stylesheet', async (t) => {
  const service = await startService(t);

  t.test('is served by the service, and may be kept for as long as it stays the same', async (t) => {
    const path = stylesheetOf(await openBrowser(service).go('/auth/confirm/x'));
    t.match(path, /^\/pages\.css\?[0-9a-f]{12}$/);
    const answer = await service.get(path, { headers: { 'sec-fetch-site': 'same-origin' } });
    t.match(answer, {
      status: 200,
      text: stylesheet,
      headers: { 'content-type': 'text/css; charset=utf-8', 'x-content-type-options': 'nosniff' },
    });
    t.match(answer.headers['cache-control'], /max-age=31536000, immutable/);
    t.notMatch(stylesheet, /url\(|@import|https?:/, 'it fetches nothing');
    refused(t, await service.post('/pages.css'), 405, 'method_not_allowed');
  });
});

t.test('a service below a path', async (t) => {
  const service = await startService(t, { PUBLIC_URL: 'https://x.test/accounts' });
  const secure = (kind: string) => `__Host-${kind}`;
  /** What the proxy in front of the service does. */
  const inside = <Form extends { action: string }>(page: Form) => ({ ...page, action: page.action.replace(/^\/accounts\//, '/') });

  t.test('has all its addresses there', async (t) => {
    const [ada, bob] = [await register(service), await register(service)];
    const paths = await linkPaths(service, ada.email);
    t.match(paths, [/^\/accounts\/auth\/confirm\//, /^\/accounts\/auth\/disown\//]);
    const [path = '', disown = ''] = paths.map((each) => each.replace('/accounts', ''));
    const [nobody, others] = [openBrowser(service), openBrowser(service)];
    const page = await nobody.go(path);
    t.match(stylesheetOf(page), /^\/accounts\/pages\.css\?/);
    t.match(page, { kind: 'confirm_with_password', action: `/accounts${path}`, headers: { 'strict-transport-security': /max-age=/ } });
    t.equal((await nobody.go(disown)).action, `/accounts${disown}`);
    await others.logIn(bob);
    t.ok(others.cookies.has(secure('access')));
    const leave = await others.go(path);
    t.match(leave, { kind: 'wrong_account', action: `/accounts${path}/logout` });
    const left = await others.submit(inside(leave));
    t.match(left, { status: 303, headers: { location: `/accounts${path}` } });
    t.match(
      setCookies(left).map(({ name, attributes }) => ({ name, ...attributes })),
      [
        { name: secure('access'), Secure: '', HttpOnly: '', Path: '/' },
        { name: secure('refresh'), Secure: '', HttpOnly: '', Path: '/' },
      ],
    );
    t.match(await nobody.submit(inside(page), { password: ada.password }), { status: 200, kind: 'confirmed' });
    const reset = `/auth/password/reset/${await resetTokenBelow(ada.email)}`;
    t.equal((await nobody.go(reset)).action, `/accounts${reset}`);
    service.clock.advance({ minutes: 61 });
    t.equal((await nobody.go(path)).action, `/accounts${path}/resend`);
    t.equal((await nobody.go(reset)).action, `/accounts${reset}/resend`);
  });

  async function resetTokenBelow(email: string): Promise<string> {
    await service.post('/auth/password/forgot', { email });
    return ((await linkPaths(service, email, 2))[0] ?? '').replace('/accounts/auth/password/reset/', '');
  }
});

t.test('with APP_URL', async (t) => {
  const appUrl = 'https://app.test/welcome?from=mail&confirmation=none#top';
  const service = await startService(t, { APP_URL: appUrl, SERVICE_NAME: 'Tea & Co' });
  const leadsOn = (status: string) => ({
    status: 303,
    kind: undefined,
    headers: {
      location: `https://app.test/welcome?from=mail&confirmation=${status}#top`,
      'cache-control': 'no-store',
      'referrer-policy': 'no-referrer',
    },
  });
  const isThere = (page: Visited) => page.text.includes(`href="${appUrl.replaceAll('&', '&amp;')}"`);
  const [own, nobody, others] = [openBrowser(service), openBrowser(service), openBrowser(service)];

  t.test('a settled link leads on to the application, whatever became of it', async (t) => {
    const [ada, bob] = [await register(service), await register(service)];
    const path = await confirmationPath(service, ada);
    await own.logIn(ada);
    await others.logIn(bob);
    const page = await nobody.go(path);
    t.match(page, { status: 401, kind: 'confirm_with_password' }, 'not while there is something to do');
    t.equal(
      page.headers['content-security-policy'],
      "default-src 'none'; style-src 'self'; form-action 'self' https://app.test; frame-ancestors 'none'; base-uri 'none'",
    );
    t.match(await nobody.submit(page, { password: 'a wrong one' }), { status: 401, kind: 'confirm_with_password' });
    t.match(await others.go(path), { status: 403, kind: 'wrong_account' });
    t.match(await own.go(path), leadsOn('confirmed'));
    t.match(await own.go(path), leadsOn('already_confirmed'));
    t.match(await nobody.submit(page, { password: ada.password }), leadsOn('already_confirmed'), 'with the password, too');
    t.match(await nobody.go(`${path}x`), leadsOn('invalid'));
    t.match(await nobody.submit({ action: `${path}x`, fields: { proof: 'x' } }), leadsOn('invalid'));
    t.match(await nobody.submit({ action: `${path}x/resend`, fields: { proof: 'x' } }), leadsOn('invalid'));
    const other = await confirmationPath(service, bob);
    const late = await nobody.go(other);
    service.clock.advance({ minutes: 61 });
    t.match(await own.go(path), leadsOn('expired'));
    t.match(await nobody.go(other), leadsOn('expired'));
    t.match(await nobody.submit(late, { password: bob.password }), leadsOn('expired'), 'a form that was left open');
    t.strictSame([...(await own.go(path)).text], [], 'there is no page');
  });

  t.test('and so does the link to a new address, once the account has it', async (t) => {
    const ada = await confirmedPerson(service);
    const token = await emailChangeToken(service, { ...ada, token: await logIn(service, ada) }, 'ada.new@example.com');
    const path = `/auth/email/confirm/${token}`;
    const page = await nobody.go(path);
    t.match(page, { status: 401, kind: 'change_email_with_password' });
    t.match(await nobody.submit(page, { password: ada.password }), leadsOn('confirmed'));
    t.match(await nobody.go(path), { status: 410, kind: 'used' }, 'that it has been used is told here');
  });

  t.test('no request decides where to', async (t) => {
    const hostile = { host: 'evil.test', 'x-forwarded-host': 'evil.test', referer: 'https://evil.test/', origin: 'https://evil.test' };
    t.match(
      await nobody.go('/auth/confirm/x?APP_URL=https://evil.test&next=//evil.test&confirmation=confirmed', hostile),
      leadsOn('invalid'),
    );
    t.match(await nobody.go('/auth/confirm/%2F%2Fevil.test'), leadsOn('invalid'));
  });

  t.test('clients are answered as ever', async (t) => {
    const ada = await register(service);
    const path = await confirmationPath(service, ada);
    refused(t, await service.get(path), 401, 'unauthenticated');
    refused(t, await service.get(`${path}x`), 400, 'invalid_token');
    t.match(await service.get(path, { token: await logIn(service, ada) }), { status: 200, body: { status: 'confirmed' } });
  });

  t.test('the other pages of other links stay pages, and end with a way to it', async (t) => {
    const ada = await confirmedPerson(service);
    const reset = `/auth/password/reset/${await resetToken(service, ada)}`;
    const form = await nobody.go(reset);
    t.match(form, { status: 200, kind: 'reset' });
    t.notOk(isThere(form), 'not while there is something to do');
    const change = `/auth/email/confirm/${await emailChangeToken(service, ada, 'ada.moves@example.com')}`;
    const next = 'a new password of mine';
    const done = await nobody.submit(form, { newPassword: next, newPasswordConfirmation: next });
    t.match(done, { status: 200, kind: 'reset_done' });
    t.ok(isThere(done));
    t.match(done.text, />[^<]*Tea &amp; Co<\/a>/);
    const used = await nobody.go(change);
    t.match(used, { status: 410, kind: 'used' }, 'the new password has made it void');
    t.ok(isThere(used));
    t.match(await nobody.go('/auth/email/confirm/x'), { status: 400, kind: 'invalid' });
    t.match(await nobody.go('/auth/password/reset/x'), { status: 400, kind: 'invalid' });
    t.match(await nobody.go('/auth/disown/x'), { status: 400, kind: 'invalid' });
  });
});

t.test('with CONFIRM_URL, RESET_URL and EMAIL_CHANGE_URL the mails point into the application, which calls the API', async (t) => {
  const service = await startService(t, {
    CONFIRM_URL: 'https://app.test/#/confirm?token={token}',
    RESET_URL: 'https://app.test/reset/{token}',
    EMAIL_CHANGE_URL: 'https://app.test/change?token={token}&more=1',
  });
  const linkIn = async (address: string, pattern: RegExp, count = 1) =>
    pattern.exec((await service.mailServer.mailTo(address, count)).text ?? '')?.[1] ?? '';
  const ada = await register(service);
  const token = await linkIn(ada.email, /https:\/\/app\.test\/#\/confirm\?token=([\w.-]+)/);
  t.match(await linkIn(ada.email, /(http:\/\/localhost:3000\/auth\/disown\/)/), 'http', 'the other link leads to the service');
  t.match(await service.post('/auth/confirm', { token, password: ada.password }), { status: 200, body: { status: 'confirmed' } });
  const session = await logIn(service, ada);
  await service.post('/auth/email', { newEmail: 'ada.moves@example.com', password: ada.password }, { token: session });
  const change = await linkIn('ada.moves@example.com', /https:\/\/app\.test\/change\?token=([\w.-]+)&more=1/);
  t.equal((await service.post('/auth/email/confirm', { token: change }, { token: session })).status, 200);
  await service.post('/auth/password/forgot', { email: 'ada.moves@example.com' });
  const reset = await linkIn('ada.moves@example.com', /https:\/\/app\.test\/reset\/([\w.-]+)/, 2);
  t.match(await service.get(`/auth/password/reset/${reset}`), { status: 200, body: { email: 'ada.moves@example.com' } });
  t.equal((await service.post('/auth/password/reset', { token: reset, newPassword: 'a new password of mine' })).status, 204);
});
