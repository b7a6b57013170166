import { and, eq } from 'drizzle-orm';
import t from 'tap';
import { disableUser, requireNamedUser } from '../../src/administration/manage-user.ts';
import { mails } from '../../src/db/schema.ts';
import { leap, outboxEmpty } from '../support/held-clock.ts';
import { disownPath, openBrowser } from '../support/pages.ts';
import { confirmationPath, logIn, newDetails, register } from '../support/person.ts';
import { startService } from '../support/service.ts';
import { openTables } from '../support/tables.ts';

t.test('the page of an expired link', async (t) => {
  const service = await startService(t);
  const tables = openTables(t, service);
  const { clock } = service;
  const hold = (seconds: number) => leap(clock, tables, seconds);
  const mailsOf = ({ id }: { id: string }) => tables.$count(mails, and(eq(mails.userId, id), eq(mails.kind, 'confirmation')));

  /** Somebody whose link has expired, with a browser of theirs, one where nobody is logged in, and the pages there. */
  async function latecomer() {
    await hold(0);
    const person = await register(service);
    const path = await confirmationPath(service, person);
    await hold(3600);
    const [own, nobody] = [openBrowser(service), openBrowser(service)];
    await own.logIn(person);
    const [ownPage, page] = [await own.go(path), await nobody.go(path)];
    return { ...person, path, own, nobody, ownPage, page };
  }

  t.test('sends another mail to a session of the account at once, and within the cool-down says how long to wait', async (t) => {
    const ada = await latecomer();
    t.match(ada.ownPage, { status: 410, kind: 'expired', action: `${ada.path}/resend` });
    t.match(await ada.own.submit(ada.ownPage), { status: 200, kind: 'mail_sent' });
    t.equal(await mailsOf(ada), 2);
    const early = await ada.own.submit(ada.ownPage);
    t.match(early, { status: 429, kind: 'expired', headers: { 'retry-after': '60', 'cache-control': 'no-store' }, text: /role="alert"/ });
    await hold(59.5);
    t.match(await ada.own.submit(early), { status: 429, kind: 'expired', headers: { 'retry-after': '1' } });
    t.equal(await mailsOf(ada), 2);
    await hold(0.5);
    t.match(await ada.own.submit(early), { status: 200, kind: 'mail_sent' }, 'the form that comes with the refusal works');
    t.equal((await ada.own.go(await confirmationPath(service, ada, 3))).kind, 'confirmed');
  });

  t.test('sends it to anybody else for the password only, and to the address of the account only', async (t) => {
    const ada = await latecomer();
    t.match(ada.page, { status: 410, kind: 'expired_with_password', action: `${ada.path}/resend`, fields: { email: ada.email } });
    for (const entered of [{}, { password: '' }, { password: 'a wrong one' }]) {
      const answer = await ada.nobody.submit(ada.page, entered);
      t.match(answer, { status: 401, kind: 'expired_with_password', text: /aria-invalid="true"/ }, JSON.stringify(entered));
    }
    const other = openBrowser(service);
    await other.logIn(await register(service));
    const page = await other.go(ada.path);
    t.match(page, { status: 410, kind: 'expired_with_password' }, 'where somebody else is logged in, too');
    t.match(await other.submit(page), { status: 401, kind: 'expired_with_password' });
    t.equal(await mailsOf(ada), 1, 'nothing was sent');
    const sent = await other.submit(page, { password: ada.password, email: 'evil@example.com' });
    t.match(sent, { status: 200, kind: 'mail_sent' });
    t.equal(other.cookies.size, 2, 'whoever was logged in there still is');
    t.match(await ada.nobody.submit(ada.page, { password: ada.password }), {
      status: 429,
      kind: 'expired_with_password',
      headers: { 'retry-after': '60' },
    });
    await outboxEmpty(tables);
    t.notOk(service.mailServer.received.some(({ recipients }) => recipients.includes('evil@example.com')));
    t.equal(await mailsOf(ada), 2);
  });

  t.test('does nothing without a genuine proof', async (t) => {
    const [ada, bob] = [await latecomer(), await latecomer()];
    const live = { action: ada.path, fields: { proof: (await openBrowser(service).go(ada.path)).fields['proof'] ?? '' } };
    const foreign = [{ proof: 'x' }, ada.page.fields, bob.ownPage.fields];
    for (const fields of foreign) {
      const answer = await ada.own.submit({ action: `${ada.path}/resend`, fields }, {});
      t.match(answer, { status: 410, kind: 'expired', text: /role="alert"/ });
    }
    for (const fields of [{ proof: 'x' }, ada.ownPage.fields, bob.page.fields]) {
      const answer = await ada.nobody.submit({ action: `${ada.path}/resend`, fields }, { password: ada.password });
      t.match(answer, { status: 410, kind: 'expired_with_password', text: /role="alert"/ });
    }
    t.match(
      await ada.nobody.submit(live, { password: ada.password }),
      { status: 410, kind: 'expired_with_password' },
      'it does not confirm',
    );
    t.equal(await mailsOf(ada), 1);
  });

  t.test('says so when the address has been confirmed meanwhile', async (t) => {
    const ada = await latecomer();
    await ada.own.submit(ada.ownPage);
    t.equal((await ada.own.go(await confirmationPath(service, ada, 2))).kind, 'confirmed');
    await hold(60);
    t.match(await ada.own.submit(ada.ownPage), { status: 200, kind: 'already_confirmed' });
    t.match(await ada.nobody.submit(ada.page, { password: ada.password }), { status: 200, kind: 'already_confirmed' });
    t.match(await ada.nobody.submit(ada.page, { password: 'x' }), { status: 401, kind: 'expired_with_password' }, 'to the owner only');
    t.equal(await mailsOf(ada), 2);
  });

  t.test('sends nothing once the account is disabled, or has gone', async (t) => {
    const [ada, bob] = [await latecomer(), await latecomer()];
    const { services } = service.app;
    await disableUser(services, await requireNamedUser(services.db, ada.id));
    for (const browser of [ada.own, ada.nobody]) {
      t.match(await browser.submit(ada.page, { password: ada.password }), { status: 401, kind: 'expired_with_password' });
    }
    t.equal(await mailsOf(ada), 1);
    const token = (await disownPath(service, bob)).replace('/auth/disown/', '');
    t.equal((await service.post('/auth/disown', { token })).status, 204);
    t.match(await bob.own.submit(bob.ownPage), { status: 400, kind: 'invalid' });
    t.match(await bob.nobody.go(bob.path), { status: 400, kind: 'invalid' });
  });

  t.test('says to wait for as much as a day, when the address was disowned', async (t) => {
    const ada = await latecomer();
    await service.post('/auth/disown', { token: (await disownPath(service, ada)).replace('/auth/disown/', '') });
    const again = await register(service, { ...newDetails(), email: ada.email });
    const token = await logIn(service, again);
    const { headers } = await service.post('/auth/confirm/resend', undefined, { token });
    t.equal(headers['retry-after'], String(24 * 3600));
    t.match(await ada.own.submit(ada.ownPage), { status: 400, kind: 'invalid' }, 'the link is of the account that there was');
  });
});
