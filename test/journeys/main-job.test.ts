import t from 'tap';
import { askForAnotherMail, awaitedMail, isUnconfirmed } from '../../examples/client/unconfirmed.ts';
import { createDevice } from '../support/device.ts';
import { linksOf } from '../support/mail-server.ts';
import { startService } from '../support/service.ts';

const password = 'correct horse battery staple';

for (const transport of ['bearer', 'cookie'] as const) {
  t.test(`a person registers, is kept out, follows the mailed link, and is in: ${transport}`, async (t) => {
    const service = await startService(t);
    const device = createDevice(await service.listen(), { transport });
    const { api, sent, store } = device;

    const registered = await api.POST('/auth/register', { body: { email: 'Ada@Example.com', username: 'ada', password } });
    t.equal(registered.response.status, 201);
    t.match(registered.data, { user: { email: 'Ada@Example.com', username: 'ada', role: 'user', confirmed: false } });

    const stranger = await api.GET('/secret');
    t.equal(stranger.error?.code, 'unauthenticated');
    t.notOk(sent.includes('POST /auth/refresh'), 'without a session there is nothing to refresh');

    const wrong = await device.logIn({ username: 'ada', password: 'not her password' });
    t.equal(wrong.error?.code, 'invalid_credentials');
    const login = await device.logIn({ username: 'ada', password });
    t.equal(login.response.status, 200);
    t.equal(login.data?.user.confirmed, false);
    const held = await store.read();
    t.equal(held?.id, login.data?.session.id);
    if (transport === 'cookie') t.strictSame(Object.keys(held ?? {}), ['id', 'expiresAt'], 'the script gets no tokens');

    const refused = await api.GET('/secret');
    t.equal(refused.response.status, 403);
    t.match(refused.error, { code: 'unconfirmed', resend: { method: 'POST', href: '/auth/confirm/resend' } });
    t.ok(isUnconfirmed(refused.error));

    const mail = await service.mailServer.mailTo('Ada@Example.com');
    t.match(await awaitedMail(api), { email: 'Ada@Example.com', mail: { status: /queued|sent/ } });
    t.match(await askForAnotherMail(api), { outcome: 'too_early', waitSeconds: /^[1-9]\d?$/ });
    service.clock.advance({ seconds: 61 });
    t.strictSame(await askForAnotherMail(api), { outcome: 'sent', waitSeconds: 60 });

    const [link = ''] = linksOf(mail);
    t.match(link, /^http:\/\/localhost:3000\/auth\/confirm\//, 'the link is built from PUBLIC_URL');
    const token = new URL(link).pathname.replace('/auth/confirm/', '');
    const confirmed = await api.GET('/auth/confirm/{token}', { params: { path: { token } } });
    t.match(confirmed.data, { status: 'confirmed', user: { confirmed: true } });
    t.equal(await awaitedMail(api), 'confirmed');
    t.strictSame(await askForAnotherMail(api), { outcome: 'confirmed' });

    const admitted = await api.GET('/secret');
    t.equal(admitted.response.status, 200, 'the session from before the confirmation passes');
    t.same(admitted.data, { message: 'Only confirmed users are allowed!' });
    t.same((await api.GET('/')).data, { message: 'Hello, ada!' });

    t.notOk(sent.includes('POST /auth/refresh'));
    service.clock.advance({ minutes: 6 });
    t.equal((await api.GET('/secret')).response.status, 200, 'an expired access token is refreshed by the way');
    t.strictSame(sent.slice(-3), ['GET /secret', 'POST /auth/refresh', 'GET /secret']);
    t.notSame(await store.read(), held);

    const other = createDevice(service.app.listeningOrigin, { transport });
    t.equal((await other.logIn({ email: 'ada@example.com', password })).response.status, 200);
    const newPassword = 'another horse and its staple';
    const mistaken = await api.PUT('/auth/password', { body: { currentPassword: newPassword, newPassword } });
    t.equal(mistaken.error?.code, 'wrong_password');
    const changed = await api.PUT('/auth/password', { body: { currentPassword: password, newPassword } });
    t.equal(changed.response.status, 204);
    t.equal((await other.api.GET('/secret')).error?.code, 'unauthenticated', 'the other device is logged out');
    t.equal(other.timesLoggedOut(), 1);
    t.equal((await api.GET('/secret')).response.status, 200, 'this one is not');

    t.equal(device.timesLoggedOut(), 0);
    t.equal((await device.logOut()).response.status, 204);
    t.equal(device.timesLoggedOut(), 1);
    t.equal((await api.GET('/secret')).error?.code, 'unauthenticated');
    t.equal(await device.isLoggedIn(), false);
    t.equal(device.timesLoggedOut(), 1);
    t.equal((await device.logIn({ username: 'ada', password })).error?.code, 'invalid_credentials');
    t.equal((await device.logIn({ username: 'ada', password: newPassword })).response.status, 200);
  });
}
