import { and, eq } from 'drizzle-orm';
import t from 'tap';
import { disableUser, requireNamedUser } from '../../src/administration/manage-user.ts';
import { mails } from '../../src/db/schema.ts';
import { leap, outboxEmpty } from '../support/held-clock.ts';
import { linkPaths, openBrowser } from '../support/pages.ts';
import { confirmedPerson, emailChangeToken, logIn, newDetails, register } from '../support/person.ts';
import { startService } from '../support/service.ts';
import { openTables } from '../support/tables.ts';

t.test('the pages of the link to a new address', async (t) => {
  const service = await startService(t);
  const tables = openTables(t, service);
  const { clock } = service;
  const { services } = service.app;
  const hold = (seconds: number) => leap(clock, tables, seconds);

  /** Somebody who has asked for another address, with a browser of theirs, and one where nobody is logged in. */
  async function mover() {
    await hold(0);
    const person = await confirmedPerson(service);
    const newEmail = `new.${person.email}`;
    const path = `/auth/email/confirm/${await emailChangeToken(service, person, newEmail)}`;
    const own = openBrowser(service);
    await own.logIn(person);
    return { ...person, newEmail, path, own, nobody: openBrowser(service) };
  }
  const addressOf = async ({ id }: { id: string }) => (await requireNamedUser(services.db, id)).email;
  const mailsOf = ({ id }: { id: string }) => tables.$count(mails, and(eq(mails.userId, id), eq(mails.kind, 'email_change')));

  t.test('change the address for the session of the account, once', async (t) => {
    const ada = await mover();
    const page = await ada.own.go(ada.path);
    t.match(page, { status: 200, kind: 'email_changed' });
    t.ok(page.text.includes(ada.newEmail));
    t.match(await ada.own.go(ada.path), { status: 410, kind: 'used' });
    t.match(await ada.nobody.go(ada.path), { status: 410, kind: 'used' });
    t.equal(await addressOf(ada), ada.newEmail);
  });

  t.test('take the password where there is none', async (t) => {
    const ada = await mover();
    const page = await ada.nobody.go(ada.path);
    t.match(page, { status: 401, kind: 'change_email_with_password', action: ada.path });
    const isTold = page.text.replaceAll(ada.newEmail, '').includes(ada.email);
    t.notOk(isTold, 'whoever has mistyped their new address does not tell a stranger the old one');
    for (const entered of [{}, { password: 'a wrong one' }]) {
      t.match(await ada.nobody.submit(page, entered), { status: 401, kind: 'change_email_with_password' });
    }
    t.match(await ada.nobody.submit({ ...page, fields: { proof: 'x' } }, { password: ada.password }), {
      kind: 'change_email_with_password',
    });
    t.equal(await addressOf(ada), ada.email);
    t.match(await ada.nobody.submit(page, { password: ada.password }), { status: 200, kind: 'email_changed' });
    t.match(await ada.nobody.submit(page, { password: ada.password }), { status: 410, kind: 'used' });
    t.equal(await addressOf(ada), ada.newEmail);
  });

  t.test('tell somebody else to leave', async (t) => {
    const ada = await mover();
    const others = openBrowser(service);
    await others.logIn(await register(service));
    const page = await others.go(ada.path);
    t.match(page, { status: 403, kind: 'wrong_account', action: `${ada.path}/logout` });
    t.match(await others.submit({ action: ada.path, fields: (await ada.nobody.go(ada.path)).fields }, { password: ada.password }), {
      status: 403,
      kind: 'wrong_account',
    });
    t.match(await others.submit(page), { status: 303, headers: { location: ada.path } });
    t.match(await others.submit(await others.go(ada.path), { password: ada.password }), { kind: 'email_changed' });
  });

  t.test('say so when somebody else has the address meanwhile', async (t) => {
    const ada = await mover();
    await register(service, { ...newDetails(), email: ada.newEmail });
    const page = await ada.nobody.go(ada.path);
    t.match(
      await ada.nobody.submit(page, { password: 'a wrong one' }),
      { status: 401, kind: 'change_email_with_password' },
      'to the owner only',
    );
    t.match(await ada.nobody.submit(page, { password: ada.password }), { status: 409, kind: 'email_taken' });
    t.match(await ada.own.go(ada.path), { status: 409, kind: 'email_taken' });
    t.equal(await addressOf(ada), ada.email);
  });

  t.test('send another link to the new address when it has expired, within the cool-down', async (t) => {
    const ada = await mover();
    await hold(3600);
    const [own, page] = [await ada.own.go(ada.path), await ada.nobody.go(ada.path)];
    t.match(
      [own, page],
      [
        { status: 410, kind: 'expired' },
        { status: 410, kind: 'expired_with_password' },
      ],
    );
    t.match(await ada.nobody.submit(page, { password: 'a wrong one' }), { status: 401, kind: 'expired_with_password' });
    t.match(await ada.nobody.submit({ ...page, fields: { proof: 'x' } }, { password: ada.password }), {
      status: 410,
      kind: 'expired_with_password',
    });
    t.match(
      await ada.nobody.submit(own, { password: ada.password }),
      { status: 410, kind: 'expired_with_password' },
      'the form of a session',
    );
    t.equal(await mailsOf(ada), 1);
    t.match(await ada.own.submit(own), { status: 200, kind: 'mail_sent' });
    t.match(await ada.own.submit(own), { status: 429, kind: 'expired', headers: { 'retry-after': '60' } });
    t.match(await ada.nobody.submit(page, { password: ada.password }), {
      status: 429,
      kind: 'expired_with_password',
      headers: { 'retry-after': '60' },
    });
    await hold(60);
    t.match(await ada.nobody.submit(page, { password: ada.password }), { status: 200, kind: 'mail_sent' });
    for (const _ of [4, 5]) {
      await hold(60);
      t.match(await ada.own.submit(own), { kind: 'mail_sent' });
    }
    await hold(60);
    const [link = ''] = await linkPaths(service, ada.newEmail, 5);
    await outboxEmpty(tables);
    t.equal(await mailsOf(ada), 5);
    t.match(await ada.own.submit(own), { status: 200, kind: 'mail_sent' }, 'the first is more than an hour ago');
    t.match(await ada.own.go(link), { status: 200, kind: 'email_changed' });
    t.match(await ada.own.submit(own), { status: 410, kind: 'used' }, 'there is nothing to wait for any more');
  });

  t.test('offer no other mail when the link is void', async (t) => {
    const [ada, bob, eve, fay] = [await mover(), await mover(), await mover(), await mover()];
    await emailChangeToken(service, { ...ada, token: await logIn(service, ada) }, `other.${ada.email}`);
    await disableUser(services, await requireNamedUser(services.db, bob.id));
    await service.request('PUT', '/auth/password', {
      token: await logIn(service, eve),
      body: { currentPassword: eve.password, newPassword: 'another password of Eve' },
    });
    const late = await logIn(service, fay);
    await service.post('/auth/me/deletion', { password: fay.password }, { token: late });
    t.match(await ada.nobody.go(ada.path), { status: 410, kind: 'used' }, 'a newer one was asked for');
    t.match(await bob.nobody.go(bob.path), { status: 410, kind: 'used' }, 'the account is disabled');
    t.match(await eve.nobody.go(eve.path), { status: 410, kind: 'used' }, 'the password has changed');
    t.match(await fay.nobody.go(fay.path), { status: 400, kind: 'invalid' }, 'the account has gone');
    await hold(3600);
    for (const { path, nobody } of [ada, bob, eve]) {
      t.match(await nobody.go(path), { status: 410, kind: 'used', action: '' });
      t.match(await nobody.submit({ action: `${path}/resend`, fields: { proof: 'x' } }), { status: 410, kind: 'used' });
    }
    t.match(await fay.nobody.go(fay.path), { status: 400, kind: 'invalid' });
  });
});
