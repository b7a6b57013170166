import t from 'tap';
import { disableUser, requireNamedUser } from '../../src/administration/manage-user.ts';
import { browserAccept, openBrowser } from '../support/pages.ts';
import { confirmationPath, confirmationToken, confirmedPerson, emailChangeToken, logIn, register, resetToken } from '../support/person.ts';
import { refused } from '../support/refusal.ts';
import { startService } from '../support/service.ts';

t.test('with CONFIRM_POLICY=link', async (t) => {
  const service = await startService(t, { CONFIRM_POLICY: 'link' });
  const json = { accept: 'application/json' };
  const { services } = service.app;
  const isConfirmed = async ({ id }: { id: string }) => (await requireNamedUser(services.db, id)).confirmedAt !== null;
  const newcomer = async () => {
    const person = await register(service);
    return { ...person, path: await confirmationPath(service, person), link: await confirmationToken(service, person) };
  };

  t.test('a client that asks for JSON confirms by the bare link, and nobody is logged in by it', async (t) => {
    for (const accept of ['application/json', 'application/json, text/plain, */*', 'application/problem+json', 'Application/JSON;q=0.9']) {
      const ada = await newcomer();
      const answer = await service.get(ada.path, { headers: { accept } });
      t.match(answer, { status: 200, body: { status: 'confirmed', user: { id: ada.id, confirmed: true } } }, accept);
      t.strictSame(Object.keys(answer.body).sort(), ['status', 'user']);
      t.equal(answer.headers['set-cookie'], undefined, 'C14');
      t.match(await service.get(ada.path, { headers: json }), { status: 200, body: { status: 'already_confirmed' } }, 'C02');
    }
  });

  t.test('what takes anything confirms nothing, nor does what looks ahead', async (t) => {
    const ada = await newcomer();
    for (const headers of [
      {},
      { accept: '*/*' },
      { accept: '' },
      { accept: 'text/plain' },
      { accept: 'text/json' },
      { accept: 'image/*' },
      { ...json, purpose: 'prefetch' },
    ]) {
      refused(
        t,
        await service.get(ada.path, { headers: headers as Record<string, string> }),
        401,
        'unauthenticated',
        JSON.stringify(headers),
      );
    }
    t.equal(await isConfirmed(ada), false);
    const token = await logIn(service, ada);
    t.match(await service.get(ada.path, { token }), { status: 200, body: { status: 'confirmed' } }, 'with the session it does');
  });

  t.test('a browser gets a button, which confirms', async (t) => {
    const ada = await newcomer();
    const nobody = openBrowser(service);
    const page = await nobody.go(ada.path);
    t.match(page, { status: 200, kind: 'confirm', action: ada.path });
    t.strictSame(Object.keys(page.fields), ['proof'], 'no password is asked for');
    t.match(await nobody.go(ada.path, { accept: `application/json,${browserAccept}` }), { kind: 'confirm' });
    t.match(await nobody.submit({ ...page, fields: { proof: 'x' } }), { kind: 'confirm', text: /role="alert"/ });
    t.equal(await isConfirmed(ada), false, 'nothing has changed');
    t.match(await nobody.submit(page), { status: 200, kind: 'confirmed' });
    t.match(await nobody.submit(page), { status: 200, kind: 'already_confirmed' });
    t.equal(nobody.cookies.size, 0, 'C14');
  });

  t.test('a browser of the account confirms by the click alone, and a wrong password is one all the same', async (t) => {
    const [ada, bob] = [await newcomer(), await newcomer()];
    const own = openBrowser(service);
    await own.logIn(ada);
    t.equal((await own.go(ada.path)).kind, 'confirmed');
    const nobody = openBrowser(service);
    const page = await nobody.go(bob.path);
    t.match(await nobody.submit(page, { password: 'a wrong one' }), { status: 401, kind: 'confirm_with_password' });
    refused(t, await service.post('/auth/confirm', { token: bob.link, password: 'a wrong one' }), 401, 'invalid_credentials');
    t.equal(await isConfirmed(bob), false);
  });

  t.test('C08: the session of another account is the wrong one, however it comes', async (t) => {
    const [ada, bob] = [await newcomer(), await newcomer()];
    const token = await logIn(service, bob);
    refused(t, await service.get(ada.path, { token, headers: json }), 403, 'wrong_account');
    refused(t, await service.post('/auth/confirm', { token: ada.link }, { token }), 403, 'wrong_account');
    const [others, nobody] = [openBrowser(service), openBrowser(service)];
    const page = await nobody.go(ada.path);
    await others.logIn(bob);
    t.match(await others.go(ada.path), { status: 403, kind: 'wrong_account' });
    t.match(await others.submit(page), { status: 403, kind: 'wrong_account' });
    t.same([await isConfirmed(ada), await isConfirmed(bob)], [false, false]);
    const leave = await others.go(ada.path);
    t.equal((await others.submit(leave)).status, 303);
    t.match(await others.submit(await others.go(ada.path)), { kind: 'confirmed' }, 'after logging out');
  });

  t.test('the token alone confirms when it is posted', async (t) => {
    const [ada, bob] = [await newcomer(), await newcomer()];
    t.match(await service.post('/auth/confirm', { token: ada.link }), { status: 200, body: { status: 'confirmed', user: { id: ada.id } } });
    const ended = await logIn(service, bob);
    await service.post('/auth/logout', undefined, { token: ended });
    t.match(await service.post('/auth/confirm', { token: bob.link }, { token: ended }), { status: 200 }, 'a session that is over is none');
  });

  t.test('links are as strict as ever', async (t) => {
    const [ada, bob] = [await newcomer(), await newcomer()];
    refused(t, await service.get(`${ada.path}x`, { headers: json }), 400, 'invalid_token');
    await disableUser(services, await requireNamedUser(services.db, bob.id));
    refused(t, await service.get(bob.path, { headers: json }), 400, 'invalid_token', 'of a disabled account');
    t.match(await openBrowser(service).submit(await openBrowser(service).go(bob.path)), { status: 400, kind: 'invalid' });
    service.clock.advance({ minutes: 61 });
    refused(t, await service.get(ada.path, { headers: json }), 410, 'expired_token');
    refused(t, await service.post('/auth/confirm', { token: ada.link }), 410, 'expired_token');
    t.match(await openBrowser(service).go(ada.path), { status: 410, kind: 'expired_with_password' }, 'another mail takes the password');
    t.equal(await isConfirmed(ada), false);
  });

  t.test('the links of other mails need what they always need', async (t) => {
    const ada = await confirmedPerson(service);
    const [change, reset] = [await emailChangeToken(service, ada, 'moved.ada@example.com'), await resetToken(service, ada)];
    const nobody = openBrowser(service);
    refused(t, await service.get(`/auth/email/confirm/${change}`, { headers: json }), 401, 'unauthenticated');
    refused(t, await service.post('/auth/email/confirm', { token: change }), 401, 'unauthenticated');
    const page = await nobody.go(`/auth/email/confirm/${change}`);
    t.match(page, { status: 401, kind: 'change_email_with_password' });
    t.match(await nobody.submit(page), { status: 401, kind: 'change_email_with_password' });
    t.match(
      await nobody.submit(await nobody.go(`/auth/email/confirm/${change}`, { purpose: 'prefetch' })),
      { status: 401 },
      'looked at ahead',
    );
    t.match(await service.get(`/auth/password/reset/${reset}`, { headers: json }), { status: 200, body: { email: ada.email } });
    refused(t, await service.post('/auth/password/reset', { token: reset }), 400, 'validation_failed');
    t.equal((await service.get('/auth/me', { token: ada.token })).body.user.email, ada.email);
  });
});

t.test('with CONFIRM_POLICY=session a bare link confirms nothing, whatever it asks for', async (t) => {
  const service = await startService(t, { CONFIRM_POLICY: 'session' });
  const ada = await register(service);
  const path = await confirmationPath(service, ada);
  refused(t, await service.get(path, { headers: { accept: 'application/json' } }), 401, 'unauthenticated');
  refused(t, await service.post('/auth/confirm', { token: await confirmationToken(service, ada) }), 401, 'unauthenticated');
  const nobody = openBrowser(service);
  t.equal((await nobody.submit({ ...(await nobody.go(path)) })).kind, 'confirm_with_password');
});
