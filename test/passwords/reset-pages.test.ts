import { and, eq } from 'drizzle-orm';
import t from 'tap';
import { disableUser, requireNamedUser } from '../../src/administration/manage-user.ts';
import { mails, resetRequests } from '../../src/db/schema.ts';
import { eventually } from '../support/eventually.ts';
import { leap, outboxEmpty } from '../support/held-clock.ts';
import { disownPath, openBrowser } from '../support/pages.ts';
import { confirmedPerson, emailChangeToken, logIn, type Person, register, resetToken } from '../support/person.ts';
import { refused } from '../support/refusal.ts';
import { startService } from '../support/service.ts';
import { openTables } from '../support/tables.ts';

const next = 'a new password of mine';
const twice = (password: string) => ({ newPassword: password, newPasswordConfirmation: password });

t.test('the page for a forgotten password', async (t) => {
  const service = await startService(t);
  const tables = openTables(t, service);
  const { services } = service.app;
  const nobody = openBrowser(service);
  const hold = (seconds: number) => leap(service.clock, tables, seconds);
  const linkFor = async (person: Pick<Person, 'email'>) => `/auth/password/reset/${await resetToken(service, person)}`;
  const mailsOf = ({ id }: { id: string }) => tables.$count(mails, and(eq(mails.userId, id), eq(mails.kind, 'password_reset')));
  const logInAs = ({ email }: Pick<Person, 'email'>, password: string) => service.post('/auth/login', { email, password });
  /** Once every request for a mail has been looked at. */
  const answered = async () => {
    await eventually('every request is answered', async () => (await tables.$count(resetRequests)) === 0);
    await outboxEmpty(tables);
  };

  t.test('is only told of by the API, to whoever has the link', async (t) => {
    const ada = await confirmedPerson(service);
    const path = await linkFor(ada);
    const answer = await service.get(path);
    t.match(answer, { status: 200, headers: { 'content-type': /^application\/json/, 'cache-control': 'no-store' } });
    t.strictSame(Object.keys(answer.body).sort(), ['email', 'expiresAt']);
    t.equal(answer.body.email, ada.email);
    t.ok(Date.parse(answer.body.expiresAt) > service.clock.now().getTime());
    refused(t, await service.get(`${path}x`), 400, 'invalid_token');
  });

  t.test('sets the password, ends all sessions, and logs nobody in', async (t) => {
    const ada = await register(service);
    const token = await logIn(service, ada);
    const page = await nobody.go(await linkFor(ada));
    t.match(page, { status: 200, kind: 'reset', fields: { email: ada.email } });
    t.match(await nobody.submit(page, twice(next)), { status: 200, kind: 'reset_done' });
    t.equal(nobody.cookies.size, 0);
    refused(t, await service.get('/auth/me', { token }), 401, 'unauthenticated');
    t.equal((await logInAs(ada, ada.password)).status, 401);
    t.match(await logInAs(ada, next), { status: 200, body: { user: { confirmed: true } } }, 'whoever read the mail has the address');
    t.match(await nobody.submit(page, twice('another one of mine')), { status: 410, kind: 'reset_used' });
    t.equal((await logInAs(ada, next)).status, 200);
  });

  t.test('refuses what the API refuses, says at which input, and the link stays good', async (t) => {
    const ada = await confirmedPerson(service);
    const page = await nobody.go(await linkFor(ada));
    const long = 'é'.repeat(129);
    const faulty = [
      [twice(''), 'newPassword'],
      [twice('1234567'), 'newPassword'],
      [twice('🔑'.repeat(7)), 'newPassword'],
      [twice(long), 'newPassword'],
      [twice('password'), 'newPassword'],
      [twice(ada.email), 'newPassword'],
      [{ newPassword: next, newPasswordConfirmation: `${next} ` }, 'newPasswordConfirmation'],
      [{ newPassword: next, newPasswordConfirmation: '' }, 'newPasswordConfirmation'],
    ] as const;
    for (const [entered, at] of faulty) {
      const answer = await nobody.submit(page, entered);
      t.match(answer, { status: 400, kind: 'reset' }, entered.newPassword.slice(0, 20));
      t.match(answer.text, new RegExp(`<input id="${at}"[^>]*aria-invalid="true"[^>]*autofocus`), at);
      t.equal(answer.text.split('aria-invalid').length, 2, 'and at no other');
      t.notMatch(answer.text, /type="password"[^>]*value=/, 'it does not come back');
    }
    t.match(await nobody.submit({ ...page, fields: { proof: 'x' } }, twice(next)), { status: 200, kind: 'reset', text: /role="alert"/ });
    refused(t, await nobody.submit({ action: page.action, fields: {} }, twice(next)), 400, 'validation_failed', 'no proof');
    refused(t, await nobody.submit(page, { newPassword: next }), 400, 'validation_failed', 'no confirmation');
    refused(t, await nobody.submit(page, { ...twice(next), token: 'x' }), 400, 'validation_failed', 'something else');
    refused(t, await nobody.submit(page, twice('x'.repeat(16 * 1024))), 413, 'payload_too_large');
    t.equal((await logInAs(ada, ada.password)).status, 200, 'nothing has changed');
    const unusual = ' 🔑+%&=é ';
    t.equal((await nobody.submit(page, twice(unusual))).kind, 'reset_done', 'what does is taken as it is');
    t.equal((await logInAs(ada, unusual)).status, 200);
  });

  t.test('has the length of PASSWORD_MIN_LENGTH', async (t) => {
    const strict = await startService(t, { PASSWORD_MIN_LENGTH: '15' });
    const ada = { email: 'ada@example.com', username: 'ada', password: 'a password of mine' };
    await register(strict, ada);
    const browser = openBrowser(strict);
    const page = await browser.go(`/auth/password/reset/${await resetToken(strict, ada)}`);
    t.match(await browser.submit(page, twice('fourteen chars')), { status: 400, kind: 'reset' });
    t.match(await browser.submit(page, twice('fifteen letters')), { status: 200, kind: 'reset_done' });
  });

  t.test('offers another mail once the link has expired, within the limits of those who forget', async (t) => {
    await hold(0);
    const ada = await confirmedPerson(service);
    const path = await linkFor(ada);
    const open = await nobody.go(path);
    await hold(3600);
    const expired = await nobody.go(path);
    t.match(expired, { status: 410, kind: 'reset_expired', action: `${path}/resend` });
    t.match(await nobody.submit(open, twice(next)), { status: 410, kind: 'reset_expired' });
    for (const fields of [{ proof: 'x' }, open.fields]) {
      const { proof = '' } = fields as Record<string, string>;
      const answer = await nobody.submit({ action: `${path}/resend`, fields: { proof } });
      t.match(answer, { status: 410, kind: 'reset_expired' }, 'no genuine proof');
    }
    await answered();
    t.equal(await mailsOf(ada), 1);
    for (const _ of [2, 3, 4, 5]) {
      t.match(await nobody.submit(expired), { status: 200, kind: 'mail_sent' }, 'the same answer, beyond the limit, too');
    }
    await answered();
    t.equal(await mailsOf(ada), 4, 'three mails an hour');
    t.equal((await logInAs(ada, ada.password)).status, 200, 'the password is what it was');
  });

  t.test('tells nothing of the account once the link is void: it may have another address by now', async (t) => {
    await hold(0);
    const ada = await confirmedPerson(service);
    const path = await linkFor(ada);
    const { token } = ada;
    const newEmail = `secret.${ada.email}`;
    const change = await emailChangeToken(service, ada, newEmail);
    t.equal((await service.get(`/auth/email/confirm/${change}`, { token })).status, 200);
    for (const seconds of [0, 3600]) {
      await hold(seconds);
      const page = await nobody.go(path);
      t.match(page, { status: 410, kind: 'reset_used', action: '' });
      t.notOk(page.text.includes('secret'));
    }
    t.match(await nobody.submit({ action: `${path}/resend`, fields: { proof: 'x' } }), { status: 410, kind: 'reset_used' });
  });

  t.test('offers nothing once the account is disabled, or has gone', async (t) => {
    const [ada, bob] = [await confirmedPerson(service), await register(service)];
    const [path, other] = [await linkFor(ada), await linkFor(bob)];
    const page = await nobody.go(path);
    await disableUser(services, await requireNamedUser(services.db, ada.id));
    await service.post('/auth/disown', { token: (await disownPath(service, bob)).replace('/auth/disown/', '') });
    t.match(await nobody.go(path), { status: 410, kind: 'reset_used', action: '' });
    t.match(await nobody.submit(page, twice(next)), { status: 410, kind: 'reset_used', action: '' });
    t.match(await nobody.go(other), { status: 400, kind: 'invalid' });
    const again = (each: string) => nobody.submit({ action: `${each}/resend`, fields: { proof: 'x' } });
    t.match(await again(path), { status: 410, kind: 'reset_used' });
    t.match(await again(other), { status: 400, kind: 'invalid' });
    await hold(3600);
    t.match(await nobody.go(path), { status: 410, kind: 'reset_used' });
    await answered();
    t.equal(await mailsOf(ada), 1);
  });

  t.test('is the same for whoever is logged in, and leaves their session alone', async (t) => {
    const [ada, bob] = [await confirmedPerson(service), await confirmedPerson(service)];
    const others = openBrowser(service);
    await others.logIn(bob);
    const page = await others.go(await linkFor(ada));
    t.match(page, { status: 200, kind: 'reset' });
    t.match(await others.submit(page, twice(next)), { status: 200, kind: 'reset_done' });
    t.equal((await others.call('/auth/refresh')).status, 200);
  });
});
