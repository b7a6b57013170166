import { and, eq } from 'drizzle-orm';
import t from 'tap';
import { mails } from '../../src/db/schema.ts';
import { leap, outboxEmpty } from '../support/held-clock.ts';
import { confirmationPath, confirmedPerson, logIn, register } from '../support/person.ts';
import { refused } from '../support/refusal.ts';
import { startService } from '../support/service.ts';
import { openTables } from '../support/tables.ts';

t.test('another confirmation mail', async (t) => {
  const service = await startService(t, { ACCESS_TOKEN_TTL_SECONDS: '86400' });
  const tables = openTables(t, service);
  const { clock } = service;
  const resend = (token: string, body?: unknown) => service.post('/auth/confirm/resend', body, { token });
  const mailsOf = (userId: string) => tables.$count(mails, and(eq(mails.userId, userId), eq(mails.kind, 'confirmation')));
  const hold = (seconds: number) => leap(clock, tables, seconds);

  /** Somebody who has registered in this moment, at which the clock stands. */
  async function newcomer() {
    await hold(0);
    const person = await register(service);
    return { ...person, token: await logIn(service, person) };
  }

  t.test('is sent a minute after the one of the registration', async (t) => {
    const { id, email, token } = await newcomer();
    await hold(59.999);
    const early = await resend(token);
    refused(t, early, 429, 'rate_limited');
    t.equal(early.headers['retry-after'], '1');
    await hold(0.001);
    const answer = await resend(token);
    t.equal(answer.status, 202);
    t.match(answer.headers, { 'content-type': /^application\/json/, 'cache-control': 'no-store' });
    t.strictSame(answer.body, { retryAfter: 60 });
    const mail = await service.mailServer.mailTo(email, 2);
    t.strictSame(mail.recipients, [email]);
    t.equal(await mailsOf(id), 2);
  });

  t.test('is counted from the mail that was sent, not from the one that was refused', async (t) => {
    const { id, token } = await newcomer();
    for (const [seconds, wait] of [
      [10, 50],
      [20, 30],
      [29, 1],
    ] as const) {
      await hold(seconds);
      const answer = await resend(token);
      refused(t, answer, 429, 'rate_limited');
      t.equal(answer.headers['retry-after'], String(wait));
    }
    t.equal(await mailsOf(id), 1);
    await hold(1);
    t.equal((await resend(token)).status, 202);
  });

  t.test('waits for a clock that is minutes ahead, and not for one that was put back', async (t) => {
    const { id, token } = await newcomer();
    const ahead = (minutes: number) =>
      tables
        .update(mails)
        .set({ createdAt: new Date(clock.now().getTime() + minutes * 60_000) })
        .where(eq(mails.userId, id));
    await ahead(4);
    const early = await resend(token);
    refused(t, early, 429, 'rate_limited');
    t.equal(early.headers['retry-after'], '300');
    await ahead(60);
    t.equal((await resend(token)).status, 202);
  });

  t.test('is sent at most 5 times an hour, the first included', async (t) => {
    const { id, token } = await newcomer();
    for (const retryAfter of [60, 60, 60, 3360]) {
      await hold(60);
      t.match(await resend(token), { status: 202, body: { retryAfter } });
    }
    await hold(60);
    const answer = await resend(token);
    refused(t, answer, 429, 'rate_limited');
    t.equal(answer.headers['retry-after'], '3300');
    await hold(3299.999);
    refused(t, await resend(token), 429, 'rate_limited', 'a millisecond too early');
    t.equal(await mailsOf(id), 5);
    await hold(0.001);
    t.match(await resend(token), { status: 202, body: { retryAfter: 60 } });
  });

  t.test('is sent at most 10 times a day, the first included', async (t) => {
    const { id, token } = await newcomer();
    for (let sent = 1; sent < 10; sent += 1) {
      await hold(1200);
      t.equal((await resend(token)).status, 202);
    }
    await hold(3600);
    const wait = 24 * 3600 - 9 * 1200 - 3600;
    const answer = await resend(token);
    refused(t, answer, 429, 'rate_limited');
    t.equal(answer.headers['retry-after'], String(wait));
    t.equal(await mailsOf(id), 10);
  });

  t.test('is sent again a day after the first of ten', async (t) => {
    const person = await newcomer();
    for (let sent = 1; sent < 10; sent += 1) {
      await hold(1200);
      await resend(person.token);
    }
    await hold(24 * 3600 - 9 * 1200);
    t.equal((await resend(await logIn(service, person))).status, 202);
    t.equal(await mailsOf(person.id), 11);
  });

  t.test('has a cool-down of its own for every account', async (t) => {
    const [first, second] = [await newcomer(), await newcomer()];
    await hold(60);
    t.equal((await resend(first.token)).status, 202);
    t.equal((await resend(second.token)).status, 202);
    refused(t, await resend(first.token), 429, 'rate_limited');
  });

  t.test('C10: leaves the links of earlier mails alive', async (t) => {
    const { token, ...person } = await newcomer();
    const older = await confirmationPath(service, person);
    await hold(60);
    await resend(token);
    const newer = await confirmationPath(service, person, 2);
    t.not(newer, older);
    t.match(await service.get(older, { token }), { status: 200, body: { status: 'confirmed' } });
    t.match(await service.get(newer, { token }), { status: 200, body: { status: 'already_confirmed' } });
  });

  t.test('S01: is not sent without a session', async (t) => {
    const { id, token } = await newcomer();
    await hold(60);
    const answer = await service.post('/auth/confirm/resend');
    refused(t, answer, 401, 'unauthenticated');
    t.equal(answer.headers['www-authenticate'], 'Bearer');
    refused(t, await service.post('/auth/confirm/resend', undefined, { token: `${token}x` }), 401, 'unauthenticated', 'a forged session');
    t.equal(await mailsOf(id), 1);
    t.equal((await resend(token)).status, 202);
  });

  t.test('S04: goes to no address that the request names', async (t) => {
    const { id, token } = await newcomer();
    const other = await newcomer();
    await hold(60);
    for (const body of [{ email: other.email }, { userId: other.id }, { to: 'evil@example.com' }, [], 'x']) {
      const answer = await service.post('/auth/confirm/resend', JSON.stringify(body), {
        token,
        headers: { 'content-type': 'application/json' },
      });
      refused(t, answer, 400, 'validation_failed', JSON.stringify(body));
    }
    t.same([await mailsOf(id), await mailsOf(other.id)], [1, 1]);
    t.equal((await resend(token, {})).status, 202, 'an empty object names nobody');
    t.same([await mailsOf(id), await mailsOf(other.id)], [2, 1]);
  });

  t.test('is not sent to a confirmed account', async (t) => {
    await hold(0);
    const { id, token } = await confirmedPerson(service);
    await hold(60);
    refused(t, await resend(token), 409, 'already_confirmed');
    t.equal(await mailsOf(id), 1);
  });

  t.test('has reached the mail server as often as it was promised', async (t) => {
    await outboxEmpty(tables);
    t.equal(service.mailServer.received.length, await tables.$count(mails, eq(mails.status, 'sent')));
    t.notOk(service.mailServer.received.some(({ recipients }) => recipients.includes('evil@example.com')));
  });
});

t.test('without limits, another mail may be asked for at once', async (t) => {
  const service = await startService(t, { RATE_LIMIT: 'off' });
  const person = await register(service);
  const token = await logIn(service, person);
  for (let count = 2; count < 8; count += 1) {
    t.match(await service.post('/auth/confirm/resend', undefined, { token }), { status: 202, body: { retryAfter: 0 } });
    t.ok(await service.mailServer.mailTo(person.email, count));
  }
  const { body } = await service.get('/auth/unconfirmed', { token });
  t.ok(Date.parse(body.resendAvailableAt) <= service.clock.now().getTime());
});
