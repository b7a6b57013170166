import t, { type Test } from 'tap';
import { disableUser, requireNamedUser } from '../../src/administration/manage-user.ts';
import { eventually } from '../support/eventually.ts';
import { browserAccept, disownPath, openBrowser, type TestBrowser } from '../support/pages.ts';
import {
  confirmationPath,
  confirmationToken,
  confirmedPerson,
  emailChangeToken,
  logIn,
  type Person,
  register,
  resetToken,
} from '../support/person.ts';
import { refused } from '../support/refusal.ts';
import { type Service, startService } from '../support/service.ts';

const formType = 'application/x-www-form-urlencoded';

t.test('the form of a page', async (t) => {
  const service = await startService(t);

  /** Somebody who has registered, with a browser of theirs, one where nobody is logged in, and the link. */
  async function newcomer() {
    const person = await register(service);
    const own = openBrowser(service);
    await own.logIn(person);
    return { ...person, own, nobody: openBrowser(service), path: await confirmationPath(service, person) };
  }
  const isConfirmed = async (person: Pick<Person, 'email' | 'password'>) =>
    (await service.get('/auth/me', { token: await logIn(service, person) })).body.user.confirmed;
  /** A form as somebody would make it who has not been shown it. */
  const made = (action: string, fields: Record<string, string> = {}) => ({ action, fields });

  async function assertRefusesProofs(
    t: Test,
    browser: TestBrowser,
    action: string,
    good: string,
    others: string[],
    kind: string,
    entered: Record<string, string> = {},
  ): Promise<void> {
    const bad = ['', 'x', `${good}x`, good.slice(1), good.toUpperCase(), ...others];
    for (const proof of bad.filter((each) => each.length <= 64)) {
      const page = await browser.submit(made(action, { proof }), entered);
      t.match(page, { kind, text: /role="alert"/ }, `${kind}, the proof ${proof}`);
    }
    refused(t, await browser.submit(made(action), entered), 400, 'validation_failed', 'no proof');
    refused(t, await browser.submit(made(action, { proof: 'x'.repeat(65) }), entered), 400, 'validation_failed', 'a long proof');
  }

  t.test('to confirm does nothing without a genuine proof, however right the password is', async (t) => {
    const [ada, bob] = [await newcomer(), await newcomer()];
    const [{ fields }, other] = [await ada.nobody.go(ada.path), await bob.nobody.go(bob.path)];
    const proof = fields['proof'] ?? '';
    const foreign = [other.fields['proof'] ?? '', (await bob.own.go(ada.path)).fields['proof'] ?? ''];
    await assertRefusesProofs(t, ada.nobody, ada.path, proof, foreign, 'confirm_with_password', { password: ada.password });
    await assertRefusesProofs(t, ada.own, ada.path, proof, foreign, 'confirm');
    t.equal(await isConfirmed(ada), false);
    const again = await ada.own.submit(made(ada.path, { proof: 'x' }));
    t.equal(again.status, 200);
    t.match(await ada.own.submit(again), { status: 200, kind: 'confirmed' }, 'the form that comes with the refusal works');
    t.equal(await isConfirmed(ada), true);
  });

  t.test('that was shown before logging in works afterwards, without the password', async (t) => {
    const ada = await newcomer();
    const page = await ada.nobody.go(ada.path);
    t.match(await ada.nobody.submit(page), { status: 401, kind: 'confirm_with_password' }, 'not without a session, though');
    t.equal(await isConfirmed(ada), false);
    t.equal((await ada.own.submit(page)).kind, 'confirmed');
  });

  t.test('takes the password of the account, and records a wrong one', async (t) => {
    const ada = await newcomer();
    const page = await ada.nobody.go(ada.path);
    t.equal(page.fields['email'], ada.email, 'it shows whose');
    for (const [browser, password] of [
      [ada.nobody, 'a wrong one'],
      [ada.nobody, ''],
      [ada.own, 'a wrong one'],
      [ada.nobody, ada.password.toUpperCase()],
    ] as const) {
      const refusal = await browser.submit(page, { password });
      t.match(refusal, { status: 401, kind: 'confirm_with_password', text: /aria-invalid="true"/ });
      t.notOk(refusal.text.includes(password === '' ? 'value=""' : password), 'it does not come back');
    }
    t.equal(await isConfirmed(ada), false);
    const token = await logIn(service, ada);
    const failures = async () => {
      const { events } = (await service.get('/auth/events', { token })).body;
      return events.filter(({ type, userAgent }: Record<string, string>) => type === 'login_failed' && userAgent === 'A browser/1.0');
    };
    await eventually('four failures are recorded', async () => (await failures()).length === 4);
    t.match(await ada.nobody.submit(page, { password: ada.password, email: 'somebody.else@example.com' }), {
      status: 200,
      kind: 'confirmed',
    });
    t.equal(ada.nobody.cookies.size, 0, 'C14: it logs nobody in');
  });

  t.test('does nothing for a disabled account, whatever the password', async (t) => {
    const ada = await newcomer();
    const page = await ada.nobody.go(ada.path);
    const { services } = service.app;
    await disableUser(services, await requireNamedUser(services.db, ada.id));
    for (const browser of [ada.nobody, ada.own]) {
      t.match(await browser.submit(page, { password: ada.password }), { status: 401, kind: 'confirm_with_password' });
    }
    t.equal((await requireNamedUser(services.db, ada.id)).confirmedAt, null);
  });

  t.test('is read as literally as JSON', async (t) => {
    const ada = await newcomer();
    const { fields } = await ada.nobody.go(ada.path);
    const good = new URLSearchParams({ ...fields, password: ada.password }).toString();
    const post = (body: string, type = formType) =>
      service.request('POST', ada.path, { body, headers: { 'content-type': type, accept: browserAccept } });
    const malformed = {
      'the password twice': `${good}&password=other`,
      'the same password twice': `${good}&${good.slice(good.indexOf('password='))}`,
      'the proof twice': `${good}&proof=x`,
      __proto__: `${good}&__proto__=x`,
      'a NUL': `${good}%00`,
      'bytes that are no UTF-8': `${good}%ff`,
      'an escape cut short': `${good}%e2%82`,
      'no escape at all': `${good}%zz`,
    };
    for (const [what, body] of Object.entries(malformed)) refused(t, await post(body), 400, 'malformed_request', what);
    for (const member of ['unheardOf=1', 'constructor=x', 'toString=', 'token=x', 'newPassword=x']) {
      refused(t, await post(`${good}&${member}`), 400, 'validation_failed', member);
    }
    refused(t, await post(''), 400, 'validation_failed', 'nothing');
    refused(t, await service.request('POST', ada.path), 400, 'validation_failed', 'no body');
    refused(t, await post(`${good}&email=${'a'.repeat(16 * 1024)}`), 413, 'payload_too_large', '16 KiB');
    for (const type of [
      'application/json',
      'text/plain',
      'multipart/form-data; boundary=x',
      `${formType}x`,
      `${formType}; charset=utf-16`,
    ]) {
      refused(t, await post(good, type), 415, 'unsupported_media_type', type);
    }
    t.equal(await isConfirmed(ada), false);
    t.equal((await post(good, `${formType}; charset=UTF-8`)).status, 200);
    t.equal(await isConfirmed(ada), true);
  });

  t.test('is taken by no route of the API, and JSON by none of the forms', async (t) => {
    const ada = await newcomer();
    const token = await confirmationToken(service, ada);
    const api = {
      '/auth/confirm': { token, password: ada.password },
      '/auth/disown': { token: (await disownPath(service, ada)).replace('/auth/disown/', '') },
      '/auth/email/confirm': { token, password: ada.password },
      '/auth/password/reset': { token, newPassword: 'a new password of mine' },
      '/auth/confirm/resend': {},
      '/auth/password/forgot': { email: ada.email },
    };
    for (const [path, members] of Object.entries(api)) {
      const headers = { 'content-type': formType, authorization: `Bearer ${await logIn(service, ada)}` };
      const body = new URLSearchParams({ ...members, x: 'y' }).toString();
      refused(t, await service.request('POST', path, { headers, body }), 415, 'unsupported_media_type', path);
    }
    const { fields } = await ada.nobody.go(ada.path);
    const forms = [`/auth/confirm/${token}`, `/auth/email/confirm/${token}`].flatMap((path) => [path, `${path}/resend`, `${path}/logout`]);
    for (const path of [...forms, `/auth/disown/${api['/auth/disown'].token}`, '/auth/password/reset/x', '/auth/password/reset/x/resend']) {
      refused(t, await service.post(path, { ...fields, password: ada.password }), 415, 'unsupported_media_type', path);
    }
    t.equal(await isConfirmed(ada), false);
  });

  t.test('is refused when another site sends it with cookies, and changes nothing', async (t) => {
    const [ada, bob] = [await newcomer(), await newcomer()];
    const page = await ada.nobody.go(ada.path);
    const leave = await bob.own.go(ada.path);
    const withRefreshOnly = openBrowser(service);
    await withRefreshOnly.logIn(ada);
    withRefreshOnly.cookies.delete('access');
    const elsewhere = [
      { 'sec-fetch-site': 'cross-site', origin: 'null' },
      { 'sec-fetch-site': 'same-site', origin: 'https://evil.localhost' },
      { 'sec-fetch-site': 'cross-site', origin: 'https://evil.test' },
      { 'sec-fetch-site': '', origin: 'null' },
    ];
    for (const headers of elsewhere) {
      for (const browser of [ada.own, withRefreshOnly]) {
        t.match(await browser.submit(page, {}, headers), { status: 403, kind: 'failed' });
        t.match(await browser.submit(page, { password: ada.password }, headers), { status: 403, kind: 'failed' });
        t.match(await browser.submit(made(`${ada.path}/resend`, { proof: 'x' }), {}, headers), { status: 403, kind: 'failed' });
      }
      t.match(await bob.own.submit(leave, {}, headers), { status: 403, kind: 'failed' });
    }
    t.equal(await isConfirmed(ada), false);
    t.match(await bob.own.go(ada.path), { kind: 'wrong_account' }, 'bob is still logged in');
    t.equal((await withRefreshOnly.submit(page)).kind, 'confirmed', 'the same form from here');
  });

  t.test('is taken from a browser that says nothing of where it comes from, if it was made for its session', async (t) => {
    const [ada, bob] = [await newcomer(), await newcomer()];
    /** Without Fetch Metadata, a page without referrers sends its forms from `null`. */
    const request: Service['request'] = (method, url, { headers = {}, ...rest } = {}) => {
      const { 'sec-fetch-site': _, ...others } = headers;
      return service.request(method, url, { headers: headers['origin'] === 'null' ? others : headers, ...rest });
    };
    const old = openBrowser({ request });
    await old.logIn(bob);
    const leave = await old.go(ada.path);
    t.match(leave, { status: 403, kind: 'wrong_account' });
    t.equal((await old.submit(leave)).status, 303);
    t.equal(old.cookies.size, 0, 'bob is logged out');
    const anonymous = await old.go(ada.path);
    await old.logIn(ada);
    const again = await old.submit(anonymous);
    t.equal(again.kind, 'confirm', 'one from before the login could be of another site');
    t.equal(await isConfirmed(ada), false);
    t.match(await old.submit(again), { status: 200, kind: 'confirmed' });
  });

  t.test('to log out logs out those whom it was made for, and nobody else', async (t) => {
    const [ada, bob, eve] = [await newcomer(), await newcomer(), await newcomer()];
    const [page, other] = [await bob.own.go(ada.path), await eve.own.go(ada.path)];
    t.match([page, other], [{ status: 403, kind: 'wrong_account', action: `${ada.path}/logout` }, { kind: 'wrong_account' }]);
    const { fields: confirm } = await bob.nobody.go(ada.path);
    const { fields: elsewhere } = await bob.own.go(eve.path);
    for (const fields of [{ proof: 'x' }, other.fields, confirm, elsewhere]) {
      const answer = await bob.own.submit(made(`${ada.path}/logout`, fields));
      t.match(answer, { status: 303, headers: { location: ada.path, 'set-cookie': undefined } });
      t.equal((await bob.own.go(ada.path)).kind, 'wrong_account', 'bob is still logged in');
    }
    t.match(await bob.nobody.submit(page), { status: 303, headers: { location: ada.path } }, 'without a session there is nothing to do');
    t.match(await ada.own.submit(made(`${ada.path}/logout`, page.fields)), { status: 303 });
    t.equal(ada.own.cookies.size, 2, 'the owner of the link is still logged in');

    const kept = new Map(bob.own.cookies);
    const token = await logIn(service, bob);
    t.match(await bob.own.submit(page), { status: 303, headers: { location: ada.path } });
    t.equal(bob.own.cookies.size, 0, 'the cookies are gone');
    t.equal((await bob.own.go(ada.path)).kind, 'confirm_with_password');
    for (const [name, value] of kept) bob.own.cookies.set(name, value);
    t.equal((await bob.own.go(ada.path)).kind, 'confirm_with_password', 'and would do no longer');
    t.equal((await service.get('/auth/me', { token })).status, 200, 'other sessions of bob go on');
  });

  t.test('leads nowhere else, whatever is in its address', async (t) => {
    const { nobody } = await newcomer();
    for (const text of [
      '%0d%0aset-cookie:a=b',
      '%E2%82%AC',
      '%2F%2Fevil.test',
      '..%2f..%2f..%2f%2fevil.test',
      '%5c%5cevil.test',
      '%20',
      '%3f%23',
      'a%22%3e%3cb%3e',
    ]) {
      for (const path of ['/auth/confirm', '/auth/email/confirm']) {
        const answer = await nobody.submit(made(`${path}/${text}/logout`, { proof: 'x' }));
        t.equal(answer.status, 303, `${path}: ${text}`);
        const { origin, pathname } = new URL(answer.headers['location'] ?? '', 'https://x.test');
        t.match([origin, pathname], ['https://x.test', `${path}/`], text);
        t.equal(answer.headers['set-cookie'], undefined);
        for (const action of ['', '/resend']) {
          t.match(
            await nobody.submit(made(`${path}/${text}${action}`, { proof: 'x' })),
            { status: 400, kind: 'invalid' },
            `${text}${action}`,
          );
        }
      }
      t.match(await nobody.submit(made(`/auth/disown/${text}`, { proof: 'x' })), { status: 400, kind: 'invalid' });
    }
  });

  t.test('of another link is of no use', async (t) => {
    const ada = await confirmedPerson(service);
    const [change, reset] = [await emailChangeToken(service, ada, 'other.ada@example.com'), await resetToken(service, ada)];
    const nobody = openBrowser(service);
    const paths = [`/auth/email/confirm/${change}`, `/auth/password/reset/${reset}`, await disownPath(service, await register(service))];
    const pages = await Promise.all(paths.map((path) => nobody.go(path)));
    const entered = { newPassword: 'a new password of mine', newPasswordConfirmation: 'a new password of mine' };
    for (const { action, kind } of pages) {
      for (const { fields } of pages.filter((page) => page.action !== action)) {
        const more: Record<string, string> = kind === 'reset' ? entered : kind === 'disown' ? {} : { password: ada.password };
        t.match(
          await nobody.submit(made(action, { proof: fields['proof'] ?? '' }), more),
          { kind, text: /role="alert"/ },
          `the form of another link on the page ${kind}`,
        );
      }
    }
  });
});
