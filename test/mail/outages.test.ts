import { once } from 'node:events';
import { eq } from 'drizzle-orm';
import t from 'tap';
import { mails } from '../../src/db/schema.ts';
import { eventually } from '../support/eventually.ts';
import { createFaultyMailServer, type FaultyMailServer } from '../support/faulty-mail-server.ts';
import { linksOf } from '../support/mail-server.ts';
import { postponed, settled } from '../support/outbox.ts';
import { logIn, register } from '../support/person.ts';
import { startService } from '../support/service.ts';
import { openTables } from '../support/tables.ts';

// The second of these mostly waits for a time-out of 10 s: meanwhile the first one runs.
t.jobs = 2;

t.test('a mail server that is down', async (t) => {
  const mailServer = await createFaultyMailServer(t);
  const service = await startService(t, { SMTP_URL: mailServer.url });
  const tables = openTables(t, service);
  const readiness = async () => (await service.get('/health/ready')).body.mail;

  t.test('holds up no registration, loses no mail, and gets them all within seconds of being back', async (t) => {
    t.equal(await readiness(), 'ok', 'nobody has tried yet');
    const first = await register(service);
    await eventually('the service has noticed', async () => (await readiness()) === 'unreachable');
    t.equal((await service.get('/health/ready')).status, 200, 'requests are served all the same');
    const people = [first, ...(await Promise.all(Array.from({ length: 19 }, () => register(service))))];
    t.equal(await tables.$count(mails, eq(mails.status, 'queued')), 20);
    const attempts = (await tables.select().from(mails)).reduce((sum, row) => sum + row.attempts, 0);
    t.ok(attempts <= 5, 'the queue is held, not tried again and again');

    await mailServer.start();
    await eventually('all are sent', async () => (await tables.$count(mails, eq(mails.status, 'sent'))) === 20, 60_000);
    t.equal(await readiness(), 'ok');
    t.strictSame(mailServer.taken.flatMap(({ recipients }) => recipients).sort(), people.map(({ email }) => email).sort(), 'each once');
    const log = service.log.join('');
    t.match(log, /"level":50.*"state":"unreachable".*the mail server cannot be used; mails wait in the queue/);
    t.match(log, /the mail server can be used again/);
  });

  t.test('takes nothing from the hour of a link, which begins when its mail is sent', async (t) => {
    await mailServer.stop();
    const person = await register(service);
    await eventually('the service has noticed', async () => (await readiness()) === 'unreachable');
    service.clock.advance({ hours: 2 });
    await mailServer.start();
    await settled(tables, person.email, 'sent');
    const mail = mailServer.taken.find(({ recipients }) => recipients.includes(person.email));
    const [link = ''] = linksOf(mail as NonNullable<typeof mail>);

    service.clock.advance({ minutes: 59 });
    const token = await logIn(service, person);
    const { pathname } = new URL(link);
    t.match(await service.get(pathname, { token }), { status: 200, body: { status: 'confirmed' } });
    service.clock.advance({ minutes: 2 });
    t.equal((await service.get(pathname, { token: await logIn(service, person) })).body.code, 'expired_token');
  });

  t.test('for more than a day costs the mail that it fails then', async (t) => {
    await mailServer.start();
    mailServer.fail({ message: () => 'reset' });
    const { email } = await register(service);
    await postponed(tables, email, 1);
    const copies = mailServer.taken.length;
    await mailServer.stop();
    service.clock.advance({ hours: 24 });
    t.match(await settled(tables, email, 'failed'), { attempts: 2 });
    t.equal(mailServer.taken.length, copies);
  });
});

t.test('a mail server that accepts connections and says nothing holds up no registration and loses no mail', async (t) => {
  const mailServer = await createFaultyMailServer(t);
  await mailServer.startSilent();
  const service = await startService(t, { SMTP_URL: mailServer.url });
  const tables = openTables(t, service);
  const noticed = async () => (await service.get('/health/ready')).body.mail === 'unreachable';

  const connection = nextConnection(mailServer);
  const people = [await register(service)];
  await connection;
  for (let count = 0; count < 9; count += 1) people.push(await register(service));
  t.equal(await noticed(), false, 'the registrations were done before the first time-out');
  await eventually('the service has noticed', noticed, 60_000);
  t.match(await postponed(tables, people[0]?.email ?? '', 1), { lastError: /Greeting never received/ });
  await mailServer.start();
  await eventually('all are sent', async () => (await tables.$count(mails, eq(mails.status, 'sent'))) === 10, 60_000);
  t.strictSame(mailServer.taken.flatMap(({ recipients }) => recipients).sort(), people.map(({ email }) => email).sort(), 'each once');
});

function nextConnection({ events }: FaultyMailServer): Promise<unknown> {
  return once(events, 'connection', { signal: AbortSignal.timeout(30_000) });
}
