import { eq } from 'drizzle-orm';
import t from 'tap';
import { mails } from '../../src/db/schema.ts';
import { eventually } from '../support/eventually.ts';
import { holdClock, leap } from '../support/held-clock.ts';
import { confirmationPath, logIn, register } from '../support/person.ts';
import { refused } from '../support/refusal.ts';
import { absentMailServer, startRefusingMailServer } from '../support/refusing-mail-server.ts';
import { type Service, startService } from '../support/service.ts';
import { openTables } from '../support/tables.ts';

/** Somebody who waits for a mail, with how to ask what became of it. */
async function waiting(service: Service) {
  holdClock(service.clock, service.clock.now());
  const person = await register(service);
  const token = await logIn(service, person);
  return { ...person, token, registeredAt: service.clock.now().getTime(), state: () => service.get('/auth/unconfirmed', { token }) };
}

t.test('what an unconfirmed user waits for', async (t) => {
  const service = await startService(t);
  const tables = openTables(t, service);
  const hold = (seconds: number) => leap(service.clock, tables, seconds);

  t.test('is a mail that was sent, and another one a minute later', async (t) => {
    const { state, email, registeredAt, token, ...person } = await waiting(service);
    await eventually('the mail is sent', async () => (await state()).body.mail.status === 'sent');
    const answer = await state();
    t.equal(answer.status, 200);
    t.match(answer.headers, { 'content-type': /^application\/json/, 'cache-control': 'no-store' });
    t.strictSame(answer.body, {
      email,
      mail: { status: 'sent', at: new Date(registeredAt).toISOString() },
      resendAvailableAt: new Date(registeredAt + 60_000).toISOString(),
    });

    await hold(90);
    t.equal((await state()).body.resendAvailableAt, new Date(registeredAt + 90_000).toISOString(), 'now');
    t.equal((await service.post('/auth/confirm/resend', undefined, { token })).status, 202);
    await service.mailServer.mailTo(email, 2);
    await eventually('the newer mail is sent', async () => (await state()).body.mail.status === 'sent');
    t.match((await state()).body, {
      mail: { at: new Date(registeredAt + 90_000).toISOString() },
      resendAvailableAt: new Date(registeredAt + 150_000).toISOString(),
    });

    await service.get(await confirmationPath(service, { ...person, email }), { token });
    const settled = await state();
    t.equal(settled.status, 303);
    t.equal(settled.headers['location'], '/');
    t.notOk(settled.headers['set-cookie']);
  });

  t.test('is told to nobody without a session', async (t) => {
    refused(t, await service.get('/auth/unconfirmed'), 401, 'unauthenticated');
    const { state, email } = await waiting(service);
    t.equal((await state()).body.email, email, 'to each about their own');
  });

  t.test('is the newest mail, whatever became of the older', async (t) => {
    const { state, id, token } = await waiting(service);
    await eventually('the mail is sent', async () => (await state()).body.mail.status === 'sent');
    await tables.update(mails).set({ status: 'failed' }).where(eq(mails.userId, id));
    t.equal((await state()).body.mail.status, 'failed');
    await hold(60);
    await service.post('/auth/confirm/resend', undefined, { token });
    await eventually('the newer mail is sent', async () => (await state()).body.mail.status === 'sent');
  });

  t.test('is none at all when the mail is no longer known', async (t) => {
    const { state, id, registeredAt } = await waiting(service);
    await tables.delete(mails).where(eq(mails.userId, id));
    await hold(1);
    t.match((await state()).body, {
      mail: { status: 'failed', at: new Date(registeredAt).toISOString() },
      resendAvailableAt: new Date(registeredAt + 1000).toISOString(),
    });
  });
});

t.test('a mail that the mail server will never take has failed', async (t) => {
  const service = await startService(t, { SMTP_URL: await startRefusingMailServer(t) });
  const { state, registeredAt, token } = await waiting(service);
  await eventually('the mail has failed', async () => (await state()).body.mail.status === 'failed');
  t.equal((await state()).body.resendAvailableAt, new Date(registeredAt + 60_000).toISOString(), 'the cool-down holds');
  holdClock(service.clock, new Date(registeredAt + 60_000));
  t.equal((await service.post('/auth/confirm/resend', undefined, { token })).status, 202);
});

t.test('a mail for which no mail server could be reached is still queued', async (t) => {
  const service = await startService(t, { SMTP_URL: absentMailServer });
  const tables = openTables(t, service);
  const { state, id, registeredAt } = await waiting(service);
  await eventually('it has been tried', async () => {
    const [mail] = await tables.select().from(mails).where(eq(mails.userId, id));
    return mail?.lastError != null;
  });
  t.match((await state()).body.mail, { status: 'queued', at: new Date(registeredAt).toISOString() });
});
