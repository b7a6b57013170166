import { eq } from 'drizzle-orm';
import { decodeJwt } from 'jose';
import t from 'tap';
import { mails, resetRequests, users } from '../../src/db/schema.ts';
import { eventually } from '../support/eventually.ts';
import { linksOf } from '../support/mail-server.ts';
import { confirmedPerson, emailChangeToken, logIn, register, resetToken } from '../support/person.ts';
import { refused } from '../support/refusal.ts';
import { startService } from '../support/service.ts';
import { openTables } from '../support/tables.ts';
import { exchangeOne } from '../support/wire.ts';

t.test('asking for a mail that resets the password', async (t) => {
  const service = await startService(t);
  const tables = openTables(t, service);
  const forgot = (email: unknown, headers?: Record<string, string>) =>
    service.post('/auth/password/forgot', { email }, headers === undefined ? {} : { headers });
  const answered = () => eventually('every request has been looked at', async () => (await tables.$count(resetRequests)) === 0);
  const resetMails = async (userId: string) =>
    (await tables.select().from(mails).where(eq(mails.userId, userId))).filter(({ kind }) => kind === 'password_reset');

  t.test('P03: is answered alike for accounts of every kind and for none', async (t) => {
    const [confirmed, unconfirmed, disabled] = [await confirmedPerson(service), await register(service), await register(service)];
    await tables.update(users).set({ disabledAt: service.clock.now() }).where(eq(users.id, disabled.id));
    const answers = new Set<string>();
    const addresses = [confirmed, unconfirmed, disabled, { email: 'nobody@example.com' }, { email: confirmed.email.toUpperCase() }];
    for (const { email } of addresses) {
      const answer = await forgot(email);
      t.equal(answer.status, 202, email);
      t.match(answer.headers, { 'content-type': /^application\/json/, 'cache-control': 'no-store', 'set-cookie': undefined });
      const { date: _, 'x-request-id': __, ...headers } = answer.headers;
      answers.add(JSON.stringify([answer.status, Object.keys(answer.headers), headers, answer.text]));
    }
    t.equal(answers.size, 1, [...answers].join('\n'));
    await answered();
    t.equal((await resetMails(confirmed.id)).length, 2);
    t.equal((await resetMails(unconfirmed.id)).length, 1, 'whoever has not confirmed may have forgotten, too');
    t.equal((await resetMails(disabled.id)).length, 0, 'a disabled account gets none');
    t.notOk(service.mailServer.received.some(({ recipients }) => recipients.includes('nobody@example.com')));
  });

  t.test('sends the mail to the address as it is stored, whatever spelling was typed', async (t) => {
    const person = await register(service, { email: 'Stored.Spelling@example.com', username: 'stored', password: 'a stored password' });
    await service.mailServer.mailTo(person.email);
    t.equal((await forgot('sTORED.sPELLING@EXAMPLE.com')).status, 202);
    const mail = await service.mailServer.mailTo(person.email, 2);
    t.strictSame(mail.recipients, ['Stored.Spelling@example.com']);
    t.equal(linksOf(mail).length, 1);
  });

  t.test('finds an internationalised domain by either of its spellings', async (t) => {
    await register(service, { email: 'someone@bücher.example', username: 'books', password: 'a stored password' });
    await service.mailServer.mailTo('someone@bücher.example');
    for (const [index, email] of ['someone@bücher.example', 'someone@xn--bcher-kva.example'].entries()) {
      await forgot(email);
      // The mail server tells the envelope in U-labels.
      const mail = await service.mailServer.mailTo('someone@bücher.example', 2 + index);
      t.equal(mail.headerLines.find(({ key }) => key === 'to')?.line, 'To: someone@xn--bcher-kva.example');
    }
  });

  t.test('makes a link that works for an hour from when it was sent', async (t) => {
    const person = await register(service);
    const { iat = 0, exp = 0 } = decodeJwt(await resetToken(service, person));
    t.equal(exp - iat, 3600);
    t.equal((await forgot(person.email)).body.expiresIn, 3600);
  });

  t.test('is recorded for the owner of the account', async (t) => {
    const person = await confirmedPerson(service);
    await forgot(person.email, { 'user-agent': 'a stranger' });
    await service.mailServer.mailTo(person.email, 2);
    await eventually('the sending is recorded', async () => {
      const { events } = (await service.get('/auth/events?limit=100', { token: person.token })).body;
      const types = events.map(({ type }: { type: string }) => type);
      return types.includes('password_reset_requested') && types.includes('password_reset_mail_sent');
    });
    const { events } = (await service.get('/auth/events?limit=100', { token: person.token })).body;
    const request = events.find(({ type }: { type: string }) => type === 'password_reset_requested');
    t.match(request, { ip: '127.0.0.1', userAgent: 'a stranger' });
  });

  t.test('is refused for what is no address', async (t) => {
    const person = await register(service);
    const bad = ['', 'x', 'a@b', `${person.email}\r\nBcc: evil@example.com`, `${person.email}%0d%0aBcc:evil@example.com`, [person.email]];
    for (const email of [...bad, { $ne: '' }, 1, true, null, `${person.email},evil@example.com`, `${'a'.repeat(250)}@example.com`]) {
      refused(t, await forgot(email), 400, 'validation_failed', JSON.stringify(email)?.slice(0, 40));
    }
    refused(t, await service.post('/auth/password/forgot', {}), 400, 'validation_failed', 'nothing');
    const more = { email: person.email, resetUrl: 'https://evil.example/{token}' };
    refused(t, await service.post('/auth/password/forgot', more), 400, 'validation_failed', 'a URL');
    refused(t, await service.post('/auth/password/forgot', { username: person.username }), 400, 'validation_failed', 'a user name');
    t.equal(await tables.$count(resetRequests), 0);
    t.equal((await resetMails(person.id)).length, 0);
  });

  t.test('E02: goes by the address that is in force, not by the one that was asked for', async (t) => {
    const person = await confirmedPerson(service);
    const next = `next.${person.email}`;
    await emailChangeToken(service, person, next);
    t.equal((await forgot(next)).status, 202);
    await answered();
    t.equal((await resetMails(person.id)).length, 0);
    await resetToken(service, person);
    t.match(await resetMails(person.id), [{ recipient: person.email }]);
  });

  t.test('P05: takes nothing for the link from the request', async (t) => {
    const base = await service.listen();
    const body = (email: string) => JSON.stringify({ email });
    const poisons = [
      'Host: evil.example',
      'Host: localhost\r\nX-Forwarded-Host: evil.example',
      'Host: localhost\r\nForwarded: host=evil.example;proto=https',
      'Host: localhost\r\nOrigin: https://evil.example',
      'Host: localhost\r\nReferer: https://evil.example/',
      'Host: localhost\r\nX-Forwarded-Proto: https\r\nX-Forwarded-Port: 81\r\nX-Forwarded-Prefix: /evil.example',
      'Host: localhost\r\nX-Original-URL: //evil.example/\r\nX-Forwarded-Server: evil.example\r\nX-HTTP-Host-Override: evil.example',
    ];
    for (const [index, target] of ['/auth/password/forgot', 'http://evil.example/auth/password/forgot'].entries()) {
      for (const headers of index === 0 ? poisons : ['Host: evil.example', 'Host: localhost']) {
        const { email } = await register(service);
        await service.mailServer.mailTo(email);
        const text = body(email);
        const request = `POST ${target} HTTP/1.1\r\n${headers}\r\nContent-Type: application/json\r\nContent-Length: ${text.length}\r\nConnection: close\r\n\r\n${text}`;
        const { status } = await exchangeOne(base, request);
        t.equal(status, 202, `${target} ${headers}`);
        const mail = await service.mailServer.mailTo(email, 2);
        const [link = '', ...others] = linksOf(mail);
        t.match(link, /^http:\/\/localhost:3000\/auth\/password\/reset\/[\w-]+\.[\w-]+\.[\w-]+$/);
        t.strictSame(others, []);
        t.notMatch(`${mail.text} ${mail.html} ${mail.headerLines.map(({ line }) => line).join('\n')}`, /evil/);
      }
    }
    const { email, id } = await register(service);
    const text = body(email);
    const twoHosts = `POST /auth/password/forgot HTTP/1.1\r\nHost: localhost\r\nHost: evil.example\r\nContent-Type: application/json\r\nContent-Length: ${text.length}\r\nConnection: close\r\n\r\n${text}`;
    const { status } = await exchangeOne(base, twoHosts);
    t.ok(status === 202 || status === 400, `two hosts: ${status}`);
    await answered();
    for (const { recipient } of await resetMails(id)) t.equal(recipient, email);
  });

  t.test('leaves the account as it is: the old password still works', async (t) => {
    const person = await confirmedPerson(service);
    await resetToken(service, person);
    t.equal((await service.get('/secret', { token: person.token })).status, 200);
    t.ok(await logIn(service, person));
  });
});

t.test('RESET_URL and RESET_TTL_SECONDS make the link', async (t) => {
  const service = await startService(t, { RESET_URL: 'https://app.example/#/reset?t={token}&x=1', RESET_TTL_SECONDS: '600' });
  const person = await register(service);
  t.match(await service.post('/auth/password/forgot', { email: person.email }), { status: 202, body: { expiresIn: 600 } });
  await eventually('it has come', () => service.mailServer.received.some((mail) => linksOf(mail)[0]?.includes('app.example')));
  const link = service.mailServer.received.flatMap(linksOf).find((each) => each.includes('app.example')) ?? '';
  const [, token = ''] = /^https:\/\/app\.example\/#\/reset\?t=([\w-]+\.[\w-]+\.[\w-]+)&x=1$/.exec(link) ?? [];
  const { iat = 0, exp = 0 } = decodeJwt(token);
  t.equal(exp - iat, 600);
  t.equal((await service.post('/auth/password/reset', { token, newPassword: 'the other password' })).status, 204);
});
