import { createHash, generateKeyPairSync, verify } from 'node:crypto';
import { eq } from 'drizzle-orm';
import t from 'tap';
import { mails, users } from '../../src/db/schema.ts';
import { mailOptions } from '../../src/mail/mail-options.ts';
import { enqueueMail } from '../../src/mail/outbox.ts';
import { eventually } from '../support/eventually.ts';
import { createFaultyMailServer } from '../support/faulty-mail-server.ts';
import { mailRow, settled } from '../support/outbox.ts';
import { newDetails, register } from '../support/person.ts';
import { startService } from '../support/service.ts';
import { openTables } from '../support/tables.ts';

const { privateKey, publicKey } = generateKeyPairSync('rsa', { modulusLength: 2048 });

t.test('a mail as the mail server gets it', async (t) => {
  const mailServer = await createFaultyMailServer(t);
  await mailServer.start();
  const service = await startService(t, {
    SMTP_URL: mailServer.url,
    SERVICE_NAME: 'Bücher & Söhne, "Ltd."',
    MAIL_FROM: 'Bücher, Söhne <no-reply@books.example>',
    DKIM_DOMAIN: 'books.example',
    DKIM_SELECTOR: 'mail2026',
    DKIM_PRIVATE_KEY: privateKey.export({ type: 'pkcs8', format: 'pem' }).toString().replaceAll('\n', '\\n'),
  });
  const tables = openTables(t, service);

  async function deliveredTo(email: string) {
    await eventually(`a mail to ${email}`, () => mailServer.taken.some(({ recipients }) => recipients.includes(email)));
    const mail = mailServer.taken.find(({ recipients }) => recipients.includes(email));
    if (mail === undefined) throw new Error('unreachable');
    return mail;
  }

  t.test('goes to the stored address alone, and says whom it is from and what it is', async (t) => {
    const person = await register(service, { ...newDetails(), email: "o'Brien+Tag@example.com" });
    const mail = await deliveredTo(person.email);
    t.strictSame(mail.recipients, ["o'Brien+Tag@example.com"]);
    t.match(mail.to, { value: [{ address: "o'Brien+Tag@example.com", name: '' }] });
    t.match(mail.from, { value: [{ address: 'no-reply@books.example', name: 'Bücher, Söhne' }] });
    t.equal(mail.subject, 'Confirm your e-mail address for Bücher & Söhne, "Ltd."');
    t.equal(mail.messageId, `<${(await mailRow(tables, person.email)).id}@books.example>`);
    t.equal(mail.headers.get('auto-submitted'), 'auto-generated');
    t.notOk(mail.headers.has('x-mailer'), 'it does not say what it was made with');
    t.strictSame([mail.cc, mail.bcc, mail.replyTo], [undefined, undefined, undefined]);
    t.match(mail, { text: /Hello,/, html: /^<!doctype html>/ });
    await settled(tables, person.email, 'sent');
  });

  t.test('is signed so that its words and whom it is from and to cannot be changed', async (t) => {
    const { email } = await register(service);
    const { source } = await deliveredTo(email);
    const [head = '', body = ''] = splitAt(source, '\r\n\r\n');
    const headers = head.split(/\r\n(?![ \t])/);
    const signature = headers.find((line) => /^DKIM-Signature:/i.test(line)) ?? '';
    const tags = Object.fromEntries(
      unfold(signature.slice(15))
        .split(';')
        .map((tag) => splitAt(tag.trim(), '=')),
    );
    t.match(tags, { d: 'books.example', s: 'mail2026', a: 'rsa-sha256', c: 'relaxed/relaxed' });
    const signed = (tags['h'] ?? '').toLowerCase().split(':');
    for (const name of ['from', 'to', 'subject', 'date', 'message-id']) t.ok(signed.includes(name), name);

    const relaxedBody = `${body
      .replace(/[ \t]+/g, ' ')
      .replace(/ +\r\n/g, '\r\n')
      .replace(/(\r\n)*$/, '')}\r\n`;
    t.equal(createHash('sha256').update(relaxedBody, 'latin1').digest('base64'), tags['bh']);
    const covered = signed.map((name) => headers.find((line) => line.toLowerCase().startsWith(`${name}:`)));
    const unsigned = signature.replace(/(;\s*b=)[^;]*/, '$1');
    const text = [...covered, unsigned].flatMap((line) => (line === undefined ? [] : [relaxed(line)])).join('\r\n');
    const check = (what: string) =>
      verify('sha256', Buffer.from(what, 'latin1'), publicKey, Buffer.from((tags['b'] ?? '').replace(/\s/g, ''), 'base64'));
    t.equal(check(text), true);
    t.equal(check(text.replace(email, 'mallory@example.com')), false);
  });

  t.test('reaches nobody more when the database holds more than an address', async (t) => {
    const { id } = await register(service);
    for (const recipient of ['a@x.example;b@y.example', 'a@x.example,b@y.example', 'B <b@y.example>', 'a@x.example\r\nBcc: b@y.example']) {
      await tables.update(users).set({ email: recipient }).where(eq(users.id, id));
      await tables.delete(mails).where(eq(mails.userId, id));
      await enqueueMail(tables, { userId: id, kind: 'confirmation', recipient }, service.clock);
      await eventually('it has ended', async () => (await mailRow(tables, recipient)).status !== 'queued');
    }
    const others = mailServer.taken.filter(({ recipients }) => recipients.some((each) => ['a@x.example', 'b@y.example'].includes(each)));
    t.strictSame(others, []);
    t.ok(mailServer.taken.every(({ recipients, bcc, cc }) => recipients.length === 1 && bcc === undefined && cc === undefined));
    await deliveredTo((await register(service)).email);
  });
});

t.test('nothing of a message can begin another header', async (t) => {
  const evil = 'x\r\nBcc: victim@example.com\r\n\r\nbody';
  const { createTransport } = await import('nodemailer');
  const writer = createTransport({ streamTransport: true, buffer: true, newline: 'windows' });
  const message = { id: '0', to: `a@x.example${evil}`, subject: evil, text: evil, html: evil };
  const { message: source, envelope } = await writer.sendMail(mailOptions(message, { name: evil, address: 'no-reply@books.example' }));
  const head = String(source).split('\r\n\r\n')[0] ?? '';
  t.notMatch(head, /^Bcc:/im);
  t.match(head, /^Subject: .*Bcc: victim/m, 'it is there, in its place');
  t.notOk(envelope.to.includes('victim@example.com'));
});

/** RFC 6376 §3.4.2, for one header field. */
function relaxed(field: string): string {
  const [name = '', value = ''] = splitAt(field, ':');
  return `${name.toLowerCase().trim()}:${unfold(value)
    .replace(/[ \t]+/g, ' ')
    .trim()}`;
}

function unfold(text: string): string {
  return text.replace(/\r\n(?=[ \t])/g, '');
}

function splitAt(text: string, separator: string): [string, string] {
  const at = text.indexOf(separator);
  return [text.slice(0, at), text.slice(at + separator.length)];
}
