import { eq } from 'drizzle-orm';
import t from 'tap';
import { type MailKind, mailKinds } from '../../src/db/kinds.ts';
import { mails, users } from '../../src/db/schema.ts';
import { enqueueMail } from '../../src/mail/outbox.ts';
import { eventually } from '../support/eventually.ts';
import { createFaultyMailServer } from '../support/faulty-mail-server.ts';
import { mailRow, settled } from '../support/outbox.ts';
import { type Person, register } from '../support/person.ts';
import { startService } from '../support/service.ts';
import { openTables } from '../support/tables.ts';

t.test('what has happened to an account while its mails waited', async (t) => {
  const mailServer = await createFaultyMailServer(t);
  const service = await startService(t, { SMTP_URL: mailServer.url });
  const tables = openTables(t, service);
  const change = ({ id }: Person, values: Partial<typeof users.$inferInsert>) => tables.update(users).set(values).where(eq(users.id, id));
  const isUnreachable = async () => (await service.get('/health/ready')).body.mail === 'unreachable';
  t.beforeEach(async () => {
    await mailServer.stop();
    await register(service);
    await eventually('the queue is held', isUnreachable);
  });

  t.test('drops the confirmation mail of an account that is confirmed, disabled, or has another address, and no other', async (t) => {
    const confirmed = await register(service);
    const disabled = await register(service);
    const moved = await register(service);
    const same = await register(service);
    await change(confirmed, { confirmedAt: new Date() });
    await change(disabled, { disabledAt: new Date() });
    await change(moved, { email: 'moved@example.com', emailCanonical: 'moved@example.com' });
    await mailServer.start();
    for (const { email } of [confirmed, disabled, moved]) t.match(await settled(tables, email, 'dropped'), { lastError: null });
    await settled(tables, same.email, 'sent');
    const recipients = mailServer.taken.flatMap((mail) => mail.recipients);
    t.ok(recipients.includes(same.email));
    for (const email of [confirmed.email, disabled.email, moved.email, 'moved@example.com']) t.notOk(recipients.includes(email));
  });

  t.test('leaves no mail of an account that is deleted', async (t) => {
    const deleted = await register(service);
    const kept = await register(service);
    await tables.delete(users).where(eq(users.id, deleted.id));
    await mailServer.start();
    await settled(tables, kept.email, 'sent');
    t.equal(await tables.$count(mails, eq(mails.recipient, deleted.email)), 0);
    t.notOk(mailServer.taken.some(({ recipients }) => recipients.includes(deleted.email)));
  });

  t.test('keeps no notice of what has happened from whoever did not do it', async (t) => {
    const person = await register(service);
    await change(person, { confirmedAt: new Date(), pendingEmail: 'next@example.com', pendingEmailSince: new Date() });
    const recipientOf = (kind: MailKind) => (kind === 'email_change' ? 'next@example.com' : person.email);
    await tables.delete(mails).where(eq(mails.userId, person.id));
    for (const kind of mailKinds) await enqueueMail(tables, { userId: person.id, kind, recipient: recipientOf(kind) }, service.clock);
    const other = await register(service);
    await change(person, { disabledAt: new Date() });
    await mailServer.start();
    await settled(tables, other.email, 'sent');
    await eventually('all have ended', async () => (await tables.$count(mails, eq(mails.status, 'queued'))) === 0);
    const rows = await tables.select().from(mails).where(eq(mails.userId, person.id));
    t.strictSame(Object.fromEntries(rows.map(({ kind, status }) => [kind, status])), {
      confirmation: 'dropped',
      password_reset: 'dropped',
      password_changed: 'sent',
      email_change: 'dropped',
      email_change_requested: 'sent',
      email_changed: 'sent',
      registration_attempt: 'dropped',
    });
  });

  t.test('sends a link to a new address only while that is the one that was asked for', async (t) => {
    const person = await register(service);
    await change(person, { pendingEmail: 'wanted@example.com', pendingEmailSince: new Date() });
    for (const recipient of ['wanted@example.com', 'abandoned@example.com']) {
      await enqueueMail(tables, { userId: person.id, kind: 'email_change', recipient }, service.clock);
    }
    await mailServer.start();
    await settled(tables, 'wanted@example.com', 'sent');
    await settled(tables, 'abandoned@example.com', 'dropped');
    t.equal((await mailRow(tables, person.email)).kind, 'confirmation');
  });
});
