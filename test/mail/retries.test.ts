import { once } from 'node:events';
import { createServer, type Socket } from 'node:net';
import { eq } from 'drizzle-orm';
import t from 'tap';
import { mails } from '../../src/db/schema.ts';
import { retryDelaySeconds } from '../../src/mail/failure.ts';
import { eventually } from '../support/eventually.ts';
import { createFaultyMailServer } from '../support/faulty-mail-server.ts';
import { mailRow, postponed, settled } from '../support/outbox.ts';
import { newDetails, register } from '../support/person.ts';
import { startService } from '../support/service.ts';
import { openTables } from '../support/tables.ts';

/** A front of a mail server that answers one command as if there were nobody behind it: not in the form of RFC 5321 §4.2. */
async function listenInPlaceOf(url: string, stage: string) {
  const replies = {
    EHLO: '250 front',
    'MAIL FROM': '250 ok',
    'RCPT TO': '250 ok',
    DATA: '354 go on',
    '\r\n.\r\n': '250 ok',
    QUIT: '221 bye',
  };
  const sockets = new Set<Socket>();
  const front = createServer((socket) => {
    sockets.add(socket.on('error', () => {}));
    socket.write('220 front\r\n');
    socket.on('data', (data) => {
      const [command, reply] =
        Object.entries(replies).find(([each]) => String(data).startsWith(each) || `\r\n${data}`.endsWith(each)) ?? [];
      if (reply !== undefined) socket.write(`${command === stage ? 'backend unavailable' : reply}\r\n`);
    });
  });
  await once(front.listen(Number(new URL(url).port), '127.0.0.1'), 'listening');
  return {
    closeAllConnections() {
      front.close();
      for (const socket of sockets) socket.destroy();
    },
  };
}

t.test('a mail that does not get through', async (t) => {
  const mailServer = await createFaultyMailServer(t);
  await mailServer.start();
  const service = await startService(t, { SMTP_URL: mailServer.url });
  const tables = openTables(t, service);
  const copiesTo = (email: string) => mailServer.taken.filter(({ recipients }) => recipients.includes(email));
  const readiness = async () => (await service.get('/health/ready')).body.mail;
  /** Whoever registers wakes the worker, which then finds what else is due; and shows that others get their mail meanwhile. */
  const somebodyElse = async () => settled(tables, (await register(service)).email, 'sent');
  t.afterEach(() => mailServer.fail({}));

  for (const code of [550, 553]) {
    t.test(`is given up at once when the server knows no such recipient (${code}), and no other mail with it`, async (t) => {
      const tried: string[] = [];
      mailServer.events.on('recipient', (address) => tried.push(address));
      const bad = newDetails();
      mailServer.fail({ recipient: (address) => (address === bad.email ? code : undefined) });
      await register(service, bad);
      t.match(await settled(tables, bad.email, 'failed'), { attempts: 1, lastError: new RegExp(`${code} as the test wants it`) });
      service.clock.advance({ hours: 1 });
      await somebodyElse();
      t.equal(tried.filter((address) => address === bad.email).length, 1, 'it is not tried again');
      t.equal(await readiness(), 'ok');
    });
  }

  t.test('is given up at once when the server refuses the message (552)', async (t) => {
    mailServer.fail({ message: () => 552 });
    const { email } = await register(service);
    t.match(await settled(tables, email, 'failed'), { attempts: 1, lastError: /552/ });
    mailServer.fail({});
    await somebodyElse();
    t.strictSame(copiesTo(email), []);
  });

  for (const code of [421, 450, 451, 452]) {
    t.test(`is tried again when the server says "later" (${code}), and holds up nobody`, async (t) => {
      const bad = newDetails();
      mailServer.fail({ recipient: (address) => (address === bad.email ? code : undefined) });
      await register(service, bad);
      const failed = await postponed(tables, bad.email, 1);
      t.match(failed, { lastError: new RegExp(String(code)), awaitsServer: false });
      await somebodyElse();
      t.equal(await readiness(), 'ok');

      mailServer.fail({});
      await somebodyElse();
      const row = await mailRow(tables, bad.email);
      if (service.clock.now() < failed.dueAt) t.match(row, { status: 'queued', attempts: 1 }, 'not before its time');
      service.clock.advance({ seconds: 6 });
      await somebodyElse();
      await settled(tables, bad.email, 'sent');
      t.equal(copiesTo(bad.email).length, 1);
    });
  }

  t.test('waits longer each time, up to a quarter of an hour, and is given up after a day', async (t) => {
    const bad = newDetails();
    mailServer.fail({ message: (address) => (address === bad.email ? 451 : undefined) });
    let before = service.clock.now();
    await register(service, bad);
    for (const [attempt, longest] of [5, 10, 20, 40].entries()) {
      const { dueAt } = await postponed(tables, bad.email, attempt + 1);
      const after = service.clock.now();
      const [least, most] = [after, before].map((from) => (dueAt.getTime() - from.getTime()) / 1000) as [number, number];
      // Times are kept to the millisecond.
      t.ok(most >= longest / 2 - 0.01 && least <= longest, `${least} to ${most} s before attempt ${attempt + 2}`);
      // No sooner is it tried again.
      before = dueAt;
      service.clock.advance({ seconds: Math.max(0, (dueAt.getTime() - service.clock.now().getTime()) / 1000) });
      await somebodyElse();
    }
    await postponed(tables, bad.email, 5);
    service.clock.advance({ hours: 23, minutes: 57 });
    await somebodyElse();
    await postponed(tables, bad.email, 6);
    service.clock.advance({ minutes: 3 });
    await somebodyElse();
    t.match(await settled(tables, bad.email, 'failed'), { attempts: 7, lastError: /451/ });
    t.strictSame(copiesTo(bad.email), []);
  });

  for (const stage of ['MAIL FROM', 'RCPT TO', 'DATA', '\r\n.\r\n']) {
    t.test(`is tried again after what is no reply at all (to ${JSON.stringify(stage)})`, async (t) => {
      await mailServer.stop();
      const front = await listenInPlaceOf(mailServer.url, stage);
      const { email } = await register(service);
      await postponed(tables, email, 1);
      front.closeAllConnections();
      await mailServer.start();
      service.clock.advance({ seconds: 6 });
      await somebodyElse();
      t.match(await settled(tables, email, 'sent'), { attempts: 2 });
    });
  }

  t.test('may be there already when the connection breaks after it: every copy has one Message-ID', async (t) => {
    mailServer.fail({ message: () => 'reset' });
    const { email } = await register(service);
    t.match(await postponed(tables, email, 1), { awaitsServer: false }, 'the server answers otherwise: it is not down');
    t.equal(await readiness(), 'ok');
    service.clock.advance({ seconds: 6 });
    await postponed(tables, email, 2);
    mailServer.fail({});
    service.clock.advance({ seconds: 11 });
    const { id } = await settled(tables, email, 'sent');
    const copies = copiesTo(email);
    t.equal(copies.length, 3, 'one more for each time that no answer came');
    t.strictSame(new Set(copies.map(({ messageId }) => messageId)), new Set([`<${id}@latchkey.localhost>`]));
  });

  t.test('is sent by another worker when its own takes longer than its lease, and the first one changes nothing any more', async (t) => {
    let answer = () => {};
    const hold = new Promise<void>((resolve) => {
      answer = resolve;
    });
    mailServer.fail({ hold, message: () => 554 });
    const delivery = once(mailServer.events, 'data');
    const { email } = await register(service);
    await delivery;
    mailServer.fail({});
    service.clock.advance({ seconds: 30 });
    await somebodyElse();
    t.match(await mailRow(tables, email), { status: 'queued', attempts: 1 }, 'the lease holds');
    service.clock.advance({ seconds: 26 });
    const { settledAt } = await settled(tables, email, 'sent');
    answer();
    await eventually('the first worker has its answer', () => service.log.some((line) => /554 as the test wants it/.test(line)));
    await somebodyElse();
    t.match(await mailRow(tables, email), { status: 'sent', settledAt, attempts: 2, lastError: null });
  });

  t.test('gets through to a server that allows fewer connections than mails that wait', async (t) => {
    await mailServer.start({ disabledCommands: ['STARTTLS'], maxClients: 2 });
    const people = await Promise.all(Array.from({ length: 30 }, () => register(service)));
    await eventually('all are sent', async () => (await tables.$count(mails, eq(mails.status, 'queued'))) === 0, 20_000);
    t.strictSame(
      people.map(({ email }) => copiesTo(email).length).filter((count) => count !== 1),
      [],
    );
  });
});

t.test('the delay doubles from 5 s to 15 min, of which up to half is taken off at random', async (t) => {
  const longest = [1, 2, 3, 7, 8, 9, 50, 5000].map((attempts) => retryDelaySeconds(attempts, () => 0));
  t.strictSame(longest, [5, 10, 20, 320, 640, 900, 900, 900]);
  t.equal(
    retryDelaySeconds(9, () => 1),
    450,
  );
  const delays = Array.from({ length: 20 }, () => retryDelaySeconds(1));
  t.ok(new Set(delays).size > 1 && delays.every((delay) => delay >= 2.5 && delay <= 5));
});
