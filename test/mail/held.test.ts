import { eq } from 'drizzle-orm';
import t, { type Test } from 'tap';
import { mails } from '../../src/db/schema.ts';
import { cert, key } from '../support/certificate.ts';
import { eventually } from '../support/eventually.ts';
import { createFaultyMailServer } from '../support/faulty-mail-server.ts';
import { mailRow, postponed } from '../support/outbox.ts';
import { register } from '../support/person.ts';
import { startService } from '../support/service.ts';
import { openTables } from '../support/tables.ts';

t.test('a queue that nobody but the operator can set going again', async (t) => {
  const mailServer = await createFaultyMailServer(t);
  const service = await startService(t, { SMTP_URL: mailServer.url.replace('://', '://service:s3cret-of-smtp@') });
  const tables = openTables(t, service);
  const plain = { disabledCommands: ['STARTTLS'] };
  const ready = () => service.get('/health/ready');
  const held = () => eventually('the queue is held', async () => (await ready()).body.mail === 'held');

  /** Registers two, while mails are held for that reason; says so everywhere; then all is mended. */
  async function isHeld(t: Test, reason: RegExp, mend: () => Promise<void> | void): Promise<void> {
    const logged = service.log.length;
    const first = await register(service);
    await held();
    const second = await register(service);
    t.match(await ready(), { status: 200, body: { status: 'ok', mail: 'held' } }, 'requests are served all the same');
    t.match(await postponed(tables, first.email, 0), { status: 'queued', attempts: 0, lastError: reason }, 'no attempt counts');
    service.clock.advance({ hours: 25 });
    const errors = service.log.slice(logged).filter((line) => /the mail server cannot be used/.test(line));
    t.equal(errors.length, 1, 'the log says so, once');
    t.match(errors[0], /"level":50.*"state":"held"/);
    t.match(errors[0], reason);
    t.notMatch(service.log.join(''), /s3cret-of-smtp/);
    t.match([await mailRow(tables, first.email), await mailRow(tables, second.email)], [{ status: 'queued' }, { status: 'queued' }]);

    await mend();
    for (const { email } of [first, second]) {
      await eventually('it is sent', async () => (await mailRow(tables, email)).status === 'sent', 60_000);
      t.equal(mailServer.taken.filter(({ recipients }) => recipients.includes(email)).length, 1);
    }
    t.equal((await ready()).body.mail, 'ok');
    t.equal(await tables.$count(mails, eq(mails.status, 'failed')), 0, 'more than a day has not cost a mail');
  }

  t.test('because the mail server refuses the credentials', async (t) => {
    await mailServer.start(plain);
    mailServer.fail({ credentials: 535 });
    await isHeld(t, /535 as the test wants it/, () => mailServer.fail({}));
  });

  t.test('because the mail server refuses the sender, which only a mail shows', async (t) => {
    await mailServer.start(plain);
    mailServer.fail({ sender: 550 });
    const failures = () => service.log.filter((line) => /a mail was not sent/.test(line)).length;
    await isHeld(t, /550 as the test wants it/, async () => {
      const before = failures();
      await eventually('a mail that is older than a day is tried again', () => failures() > before, 60_000);
      mailServer.fail({});
    });
  });

  t.test('because the certificate is not to be trusted (STARTTLS)', async (t) => {
    await mailServer.start({ cert, key });
    await isHeld(t, /certificate/i, () => mailServer.start(plain));
  });
});
