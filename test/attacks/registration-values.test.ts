import t, { type Test } from 'tap';
import { users } from '../../src/db/schema.ts';
import { outboxEmpty } from '../support/held-clock.ts';
import { startHttpService } from '../support/http.ts';
import { confirmedPerson, newDetails } from '../support/person.ts';
import { refused } from '../support/refusal.ts';
import { openTables } from '../support/tables.ts';

/** In ASCII, since a title with a line separator in it is not read as one line. */
const shown = (text: string) => JSON.stringify(text).replaceAll(/[^ -~]/g, (char) => `\\u${char.charCodeAt(0).toString(16)}`);

t.test('what a registration may hold', async (t) => {
  const service = await startHttpService(t, { RATE_LIMIT: 'off' });
  const tables = openTables(t, service);
  const good = newDetails();

  const send = (members: object) => service.post('/auth/register', { ...newDetails(), ...members });
  /** What was refused has left no account behind, and what differs from it in nothing else has been accepted. */
  async function onlyAdded(t: Test, before: number, added: number) {
    t.equal((await tables.$count(users)) - before, added, `${added} accounts were made`);
  }

  t.test('R03 a member of another type is refused, never converted', async (t) => {
    const before = await tables.$count(users);
    const others: unknown[] = [[good.email], { $ne: 1 }, 123, true, null, {}, [], 0, 1.5, [[good.email]], { toString: good.email }, [null]];
    for (const member of ['email', 'username', 'password', 'passwordConfirmation', 'locale']) {
      for (const other of others)
        refused(t, await send({ [member]: other }), 400, 'validation_failed', `${member} ${JSON.stringify(other)}`);
    }
    refused(t, await send({ password: 123456789012345 }), 400, 'validation_failed', 'a password of digits');
    for (const body of [[good], [], 'null', 'true', '0', JSON.stringify(JSON.stringify(good))]) {
      refused(t, await service.post('/auth/register', body), 400, 'validation_failed', `the body ${JSON.stringify(body)}`);
    }
    const { token } = await confirmedPerson(service);
    for (const [method, path, member] of [
      ['POST', '/auth/login', 'email'],
      ['POST', '/auth/login', 'username'],
      ['POST', '/auth/login', 'rememberMe'],
      ['POST', '/auth/refresh', 'refreshToken'],
      ['POST', '/auth/confirm', 'token'],
      ['POST', '/auth/disown', 'token'],
      ['POST', '/auth/password/forgot', 'email'],
      ['POST', '/auth/password/reset', 'token'],
      ['POST', '/auth/email', 'newEmail'],
      ['POST', '/auth/email/confirm', 'token'],
      ['PUT', '/auth/password', 'currentPassword'],
      ['PATCH', '/auth/me', 'username'],
    ] as const) {
      for (const other of [['x'], { $ne: 1 }, 1]) {
        const answer = await service.request(method, path, { token, body: { [member]: other } });
        refused(t, answer, 400, 'validation_failed', `${member} ${JSON.stringify(other)} at ${path}`);
      }
    }
    t.equal((await service.post('/auth/register', good)).status, 201, 'the same as text is accepted');
    await onlyAdded(t, before, 2);
  });

  t.test('R05 an address or a name cannot smuggle a header or a recipient into a mail', async (t) => {
    const before = await tables.$count(users);
    const addresses = [
      'a@x.test\r\nBcc: b@y.test',
      'a@x.test\nBcc: b@y.test',
      'a@x.test\rBcc: b@y.test',
      'a@x.test%0d%0aBcc:b@y.test',
      'a\r\n@x.test',
      '\r\na@x.test',
      'a@x.test\r\n',
      'a@x.test\n',
      'a@x\r\n.test',
      'a@é\r\n.test',
      'a@é\u2028.test',
      'a@x\u0085.test',
      'a@x.test\u2029Bcc: b@y.test',
      'a@x.test\v',
      'a@x.test, b@y.test',
      'a@x.test,b@y.test',
      'a@x.test;b@y.test',
      'a@x.test b@y.test',
      'b@y.test,a@x.test',
      'a,b@x.test',
      'A <a@x.test>',
      '<a@x.test>',
      'a@x.test> NOTIFY=SUCCESS',
      'a@x.test>\r\nRCPT TO:<b@y.test',
      '"a\r\nBcc: b@y.test"@x.test',
      '"b@y.test"@x.test',
      'a(b@y.test)@x.test',
      '@y.test:a@x.test',
      'undisclosed: a@x.test, b@y.test;',
      '=?utf-8?q?a=0D=0ABcc:b?=@x.test,',
      'a@x.test\tb',
      ' a@x.test',
      'a@x.test ',
      'a@[127.0.0.1]',
      'mailto:a@x.test?bcc=b@y.test',
    ];
    const { token, password } = await confirmedPerson(service);
    for (const email of addresses) {
      const what = shown(email);
      refused(t, await send({ email }), 400, 'validation_failed', what);
      refused(
        t,
        await service.post('/auth/email', { newEmail: email, password }, { token }),
        400,
        'validation_failed',
        `changed to ${what}`,
      );
      refused(t, await service.post('/auth/password/forgot', { email }), 400, 'validation_failed', `forgotten by ${what}`);
    }
    refused(t, await send({ email: 'a@x.test\0\r\nBcc: b@y.test' }), 400, 'malformed_request', 'with a NUL');
    for (const username of [
      'n\r\nBcc: b@y.test',
      'n\n',
      'n\r',
      'n%0d%0aBcc',
      'n\u2028',
      'n=?utf-8?q?x?=',
      'n<b@y.test>',
      'b@y.test',
      'n,m',
    ]) {
      refused(t, await send({ username }), 400, 'validation_failed', shown(username));
      refused(t, await service.request('PATCH', '/auth/me', { token, body: { username } }), 400, 'validation_failed', 'renamed');
    }
    for (const locale of ['de\r\nBcc: b@y.test', 'de\n', 'de;q=1', '../de', 'de-']) {
      refused(t, await send({ locale }), 400, 'validation_failed', `locale ${shown(locale)}`);
    }
    await outboxEmpty(tables);
    const sent = service.mailServer.received.length;

    // Percent signs, and whatever else a local part may hold, mean nothing but themselves.
    for (const email of ['a%0d%0aBcc=b@x.test', "o'hara+=?utf-8?q?{x}|`$&*/!#^~-@x.test", 'bücher@x.test'.replace('ü', 'ue')]) {
      t.equal((await send({ email })).status, 201, email);
      const mail = await service.mailServer.mailTo(email);
      t.strictSame(mail.recipients, [email], 'it goes to this address alone');
      t.strictSame(
        [mail.to].flat().flatMap((to) => to?.value.map(({ address }) => address)),
        [email],
      );
      t.strictSame([mail.cc, mail.bcc], [undefined, undefined]);
    }
    await outboxEmpty(tables);
    t.equal(service.mailServer.received.length - sent, 3, 'and none beside');
    await onlyAdded(t, before, 4);
  });

  t.test('R08 another spelling of a name is the same name, or none', async (t) => {
    const first = { email: 'Ada.Byron@Mail.Test', username: 'Bob' };
    t.equal((await send(first)).status, 201);
    const before = await tables.$count(users);
    for (const email of [
      'ada.byron@mail.test',
      'ADA.BYRON@MAIL.TEST',
      'aDA.bYRON@Mail.test',
      'Ada.Byron@ｍａｉｌ.test',
      'Ada.Byron@mail。test',
      'Ada.Byron@mail．test',
      'Ada.Byron@mai\u00adl.test',
      'Ada.Byron@ma\u200bil.test',
    ]) {
      const answer = await send({ email });
      t.match([answer.status, answer.body.code].join(), /^(409,email_taken|400,validation_failed)$/, shown(email));
    }
    for (const email of [
      'ada.byron@mail.test.',
      'ada.byron @mail.test',
      'ada..byron@mail.test',
      'ａda.byron@mail.test',
      'аda.byron@mail.test',
    ]) {
      refused(t, await send({ email }), 400, 'validation_failed', shown(email));
    }
    t.equal((await send({ email: 'a@bücher.test' })).status, 201, 'an international domain');
    for (const email of ['a@BÜCHER.test', 'a@xn--bcher-kva.test', 'A@XN--BCHER-KVA.TEST', 'a@bu\u0308cher.test']) {
      refused(t, await send({ email }), 409, 'email_taken', shown(email));
    }
    for (const username of ['bob', 'BOB', 'bOb']) refused(t, await send({ username }), 409, 'username_taken', username);
    for (const username of [
      'bob ',
      ' bob',
      'b\u200bob',
      'bоb',
      'bob\u00a0',
      'ｂob',
      'bo\u0062\u0300',
      'bob\u00ad',
      'b\u202eob',
      'ＢＯＢ',
      'bob\ufeff',
      'bob\t',
    ]) {
      refused(t, await send({ username }), 400, 'validation_failed', shown(username));
    }
    const { token } = await confirmedPerson(service);
    refused(t, await service.request('PATCH', '/auth/me', { token, body: { username: 'BOB' } }), 409, 'username_taken', 'by a change');
    t.equal((await send({ username: 'Bob_' })).status, 201, 'what is really another name is free');
    t.equal((await send({ email: 'adabyron@mail.test' })).status, 201, 'and another address: only its owner knows what a dot means');
    await onlyAdded(t, before, 4);
  });
});
