import { eq } from 'drizzle-orm';
import t from 'tap';
import { disownedAddresses, mails, sessions, users } from '../../src/db/schema.ts';
import { purge } from '../../src/purge/purge.ts';
import { leap, outboxEmpty } from '../support/held-clock.ts';
import { disownPath, linkPaths, openBrowser } from '../support/pages.ts';
import {
  confirmationPath,
  confirmedPerson,
  emailChangeToken,
  logIn,
  newDetails,
  openSession,
  register,
  resetToken,
} from '../support/person.ts';
import { refused } from '../support/refusal.ts';
import { startService } from '../support/service.ts';
import { openTables } from '../support/tables.ts';

const daySeconds = 24 * 3600;

t.test('"this was not me"', async (t) => {
  const service = await startService(t);
  const { clock, mailServer } = service;
  const tables = openTables(t, service);
  const nobody = openBrowser(service);
  const hold = (seconds: number) => leap(clock, tables, seconds);

  /** Somebody who has registered with an address that may not be theirs, and the link in the mail to it. */
  async function suspect() {
    await hold(0);
    const person = await register(service);
    const path = await disownPath(service, person);
    return { ...person, path, token: path.replace('/auth/disown/', '') };
  }
  const disown = (token: string) => service.post('/auth/disown', { token });

  t.test('is a second link of the confirmation mail, in both parts and languages, and of no other mail', async (t) => {
    const addresses = await Promise.all(
      (['en', 'de'] as const).map(async (locale) => {
        const details = { ...newDetails(), locale };
        await register(service, details);
        return details.email;
      }),
    );
    for (const address of addresses) {
      const { html, text } = await mailServer.mailTo(address);
      const paths = await linkPaths(service, address);
      t.match(paths, [/^\/auth\/confirm\/[^/]+$/, /^\/auth\/disown\/[^/]+$/], address);
      t.equal(paths.length, 2);
      t.ok(String(html).includes(`href="http://localhost:3000${paths[1]}"`), `${address}: in the HTML part`);
      t.equal(text?.split('/auth/disown/').length, 2, 'once');
    }
    const ada = await confirmedPerson(service);
    await emailChangeToken(service, ada, 'ada.moves@example.com');
    await resetToken(service, ada);
    await service.request('PUT', '/auth/password', {
      token: ada.token,
      body: { currentPassword: ada.password, newPassword: 'another password of Ada' },
    });
    await register(service, { ...newDetails(), email: 'free@example.com' });
    await service.post('/auth/register', { ...newDetails(), email: ada.email });
    await outboxEmpty(tables);
    const others = mailServer.received.filter(({ text = '' }) => !text.includes('/auth/confirm/'));
    t.ok(others.length >= 4, 'a change, its notice, a reset, a notice');
    for (const { subject, text, html } of others) t.notOk(`${text}${html}`.includes('disown'), subject ?? 'no subject');
  });

  t.test('tells what can be cancelled, however often it is asked, and changes nothing', async (t) => {
    const { email, path, ...person } = await suspect();
    for (const _ of [1, 2]) {
      const answer = await service.get(path);
      t.match(answer, { status: 200, headers: { 'content-type': /^application\/json/, 'cache-control': 'no-store' } });
      t.strictSame(answer.body, { email, createdAt: clock.now().toISOString() });
      t.match(await nobody.go(path), { status: 200, kind: 'disown', action: path });
    }
    t.ok(await logIn(service, { email, ...person }));
  });

  t.test('cancels the account, with its sessions, and the names are free', async (t) => {
    const { path, token, ...person } = await suspect();
    const session = await openSession(service, person);
    const browser = openBrowser(service);
    await browser.logIn(person);
    const confirmation = await confirmationPath(service, person);
    const answer = await disown(token);
    t.match(answer, { status: 204, text: '' });
    refused(t, await service.get('/auth/me', { token: session.accessToken }), 401, 'unauthenticated');
    refused(t, await service.post('/auth/refresh', { refreshToken: session.refreshToken }), 401, 'invalid_refresh_token');
    t.equal((await browser.go(confirmation)).kind, 'invalid');
    refused(t, await service.post('/auth/login', { email: person.email, password: person.password }), 401, 'invalid_credentials');
    refused(t, await service.get(confirmation), 400, 'invalid_token');
    for (const table of [mails, sessions]) t.equal(await tables.$count(table, eq(table.userId, person.id)), 0);
    t.equal(await tables.$count(users, eq(users.id, person.id)), 0);
    refused(t, await disown(token), 400, 'invalid_token', 'once is enough');
    refused(t, await service.get(path), 400, 'invalid_token');
    const { email, username, password } = person;
    t.equal((await service.post('/auth/register', { email, username, password })).status, 201, 'both names are free');
    refused(t, await disown(token), 400, 'invalid_token', 'the link is for the account that there was');
  });

  t.test('cancels by the button of its page, which is for everybody', async (t) => {
    const { path, ...person } = await suspect();
    const page = await nobody.go(path);
    t.match(await nobody.submit({ ...page, fields: { proof: 'x' } }), { status: 200, kind: 'disown', text: /role="alert"/ });
    t.ok(await logIn(service, person), 'nothing has changed');
    const crossed = await nobody.submit(page, {}, { 'sec-fetch-site': 'same-origin' });
    t.match(crossed, { status: 200, kind: 'disowned' });
    t.equal((await service.post('/auth/login', { email: person.email, password: person.password })).status, 401);
    t.match(await nobody.submit(page), { status: 400, kind: 'invalid' });
  });

  t.test('never touches a confirmed account', async (t) => {
    const person = await suspect();
    const page = await nobody.go(person.path);
    const token = await logIn(service, person);
    t.equal((await service.get(await confirmationPath(service, person), { token })).status, 200);
    refused(t, await service.get(person.path), 409, 'already_confirmed');
    refused(t, await disown(person.token), 409, 'already_confirmed');
    t.match(await nobody.go(person.path), { status: 409, kind: 'disown_confirmed' });
    t.match(await nobody.submit(page), { status: 409, kind: 'disown_confirmed' });
    t.match(await service.get('/secret', { token }), { status: 200 });
    t.equal(await tables.$count(disownedAddresses, eq(disownedAddresses.emailCanonical, person.email)), 0);
  });

  t.test('is not to be had by any other token', async (t) => {
    const person = await suspect();
    const ada = await confirmedPerson(service);
    const { accessToken, refreshToken } = await openSession(service, person);
    const confirmation = (await confirmationPath(service, person)).replace('/auth/confirm/', '');
    const change = await emailChangeToken(service, { ...person, token: accessToken }, `moved.${person.email}`);
    const [header = '', payload = ''] = person.token.split('.');
    const others = {
      confirmation,
      change,
      accessToken,
      refreshToken,
      reset: await resetToken(service, ada),
      none: 'x',
      unsigned: `${header}.${payload}.`,
      cut: person.token.slice(0, -1),
    };
    for (const [what, token] of Object.entries(others)) {
      refused(t, await service.get(`/auth/disown/${token}`), 400, 'invalid_token', what);
      refused(t, await disown(token), 400, 'invalid_token', `${what}, posted`);
    }
    for (const body of [{}, { token: '' }, { token: [person.token] }, { token: person.token, email: ada.email }]) {
      refused(t, await service.post('/auth/disown', body), 400, 'validation_failed', JSON.stringify(body).slice(0, 20));
    }
    for (const path of ['/auth/confirm', '/auth/email/confirm']) {
      refused(t, await service.post(path, { token: person.token, password: person.password }), 400, 'invalid_token', path);
    }
    t.equal((await service.get(person.path)).status, 200, 'the account is still there');
    t.equal((await service.get(`/auth/email/confirm/${change}`, { token: accessToken })).status, 200);
    refused(t, await disown(person.token), 400, 'invalid_token', 'the account has another address');
  });

  t.test('works for a week', async (t) => {
    const [first, second] = [await suspect(), await suspect()];
    await hold(7 * daySeconds - 1);
    t.equal((await disown(first.token)).status, 204);
    await hold(1);
    refused(t, await service.get(second.path), 410, 'expired_token');
    refused(t, await disown(second.token), 410, 'expired_token');
    t.match(await nobody.go(second.path), { status: 410, kind: 'invalid' });
  });

  t.test('keeps the address free of confirmation mails for a day, whoever registers with it', async (t) => {
    const { email, token: link } = await suspect();
    t.equal((await disown(link)).status, 204);
    const shouted = email.toUpperCase();
    const again = await register(service, { ...newDetails(), email: shouted });
    const token = await logIn(service, again);
    const until = new Date(clock.now().getTime() + daySeconds * 1000).toISOString();
    const state = await service.get('/auth/unconfirmed', { token });
    t.match(state.body, { email: shouted, mail: { status: 'failed' }, resendAvailableAt: until });
    const answer = await service.post('/auth/confirm/resend', undefined, { token });
    refused(t, answer, 429, 'rate_limited');
    t.equal(answer.headers['retry-after'], String(daySeconds));
    await hold(daySeconds - 0.001);
    const [late, last] = [await logIn(service, again), () => service.post('/auth/confirm/resend', undefined, { token: late })];
    refused(t, await last(), 429, 'rate_limited', 'a millisecond too early');
    t.equal((await last()).headers['retry-after'], '1');
    await outboxEmpty(tables);
    t.equal(await tables.$count(mails, eq(mails.userId, again.id)), 0, 'no mail came');
    await hold(0.001);
    t.match(await last(), { status: 202, body: { retryAfter: 60 } });
    const [confirmation = ''] = await linkPaths(service, shouted, 2);
    t.match(await service.get(confirmation, { token: late }), { status: 200, body: { status: 'confirmed' } });
  });

  t.test('keeps no other address from anything, and is forgotten after the day', async (t) => {
    const [{ token, email }, other] = [await suspect(), await suspect()];
    t.equal((await disown(token)).status, 204);
    t.equal((await service.get('/auth/unconfirmed', { token: await logIn(service, other) })).body.mail.status, 'sent');
    const isKept = () => tables.$count(disownedAddresses, eq(disownedAddresses.emailCanonical, email));
    await purge({ ...service.app.services, retention: service.app.services.config.retention });
    t.equal(await isKept(), 1);
    await hold(daySeconds + 1);
    await purge({ ...service.app.services, retention: service.app.services.config.retention });
    t.equal(await isKept(), 0);
    const again = await register(service, { ...newDetails(), email });
    t.match(await linkPaths(service, again.email, 2), [/^\/auth\/confirm\//, /^\/auth\/disown\//], 'it is written to as ever');
  });

  t.test('can be said of the next account, too, which begins another day', async (t) => {
    const { email, token } = await suspect();
    await disown(token);
    await hold(daySeconds);
    const again = await register(service, { ...newDetails(), email });
    const [, next = ''] = await linkPaths(service, email, 2);
    await hold(3600);
    t.equal((await disown(next.replace('/auth/disown/', ''))).status, 204);
    t.equal(await tables.$count(users, eq(users.id, again.id)), 0);
    const [row] = await tables.select().from(disownedAddresses).where(eq(disownedAddresses.emailCanonical, email));
    t.equal(row?.until.getTime(), clock.now().getTime() + daySeconds * 1000);
  });
});

t.test('without limits nobody has to wait for the day', async (t) => {
  const service = await startService(t, { RATE_LIMIT: 'off' });
  const person = await register(service);
  await service.post('/auth/disown', { token: (await disownPath(service, person)).replace('/auth/disown/', '') });
  const again = await register(service, { ...newDetails(), email: person.email });
  t.match(await linkPaths(service, again.email, 2), [/^\/auth\/confirm\//, /^\/auth\/disown\//], 'it is written to as ever');
  const token = await logIn(service, again);
  const body = { currentPassword: again.password, newPassword: again.password };
  t.equal((await service.request('PUT', '/auth/password', { token, body })).status, 204);
  t.match((await service.mailServer.mailTo(again.email, 3)).subject, /password was changed/, 'and told what happens');
  t.match(await service.post('/auth/confirm/resend', undefined, { token }), { status: 202, body: { retryAfter: 0 } });
});
