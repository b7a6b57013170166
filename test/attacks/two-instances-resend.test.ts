import { and, eq } from 'drizzle-orm';
import t, { type Test } from 'tap';
import { mails } from '../../src/db/schema.ts';
import type { Answer, Client } from '../support/client.ts';
import { onServer } from '../support/database.ts';
import { holdClock, outboxEmpty } from '../support/held-clock.ts';
import { startTwoHttpInstances } from '../support/http.ts';
import { confirmationToken, logIn, register } from '../support/person.ts';
import { refused } from '../support/refusal.ts';
import { openTables } from '../support/tables.ts';
import { allAtOnce, tally } from '../support/two-instances.ts';

/** Addresses of as many clients, of either family, as the proxy in front tells them. */
const clients = Array.from({ length: 50 }, (_, index) => (index % 2 ? `198.51.${index}.7` : `2001:db8:${index}::7`));

t.test('requests for another mail, at once and on two instances', { skip: !onServer && 'needs a PostgreSQL server' }, async (t) => {
  const { service, instances } = await startTwoHttpInstances(t, {
    TRUSTED_PROXIES: '127.0.0.1',
    // One session from many addresses, for as long as a day: what is limited is the account.
    SESSION_PROTECTION: 'none',
    ACCESS_TOKEN_TTL_SECONDS: '86400',
  });
  const tables = openTables(t, service);
  const { clock, mailServer } = service;
  const start = clock.now().getTime();
  let elapsedSeconds = 0;
  async function standAt(seconds: number) {
    await outboxEmpty(tables);
    elapsedSeconds = seconds;
    holdClock(clock, new Date(start + seconds * 1000));
  }
  const mailsTo = (email: string) => mailServer.received.filter(({ recipients }) => recipients.includes(email)).length;
  const resend = (instance: Client, token: string, index = 0) =>
    instance.post('/auth/confirm/resend', undefined, { token, headers: { 'x-forwarded-for': clients[index % clients.length] as string } });

  /** The refusals say that it is too early, and by how much: not earlier than that is it worth asking again. */
  function assertEarly(t: Test, answers: readonly Answer[], seconds: number) {
    for (const answer of answers.filter(({ status }) => status !== 202)) {
      refused(t, answer, 429, 'rate_limited');
      t.equal(answer.headers['retry-after'], String(seconds));
    }
  }

  t.test('S05 of 20 one sends a mail', async (t) => {
    await standAt(0);
    const person = await register(service);
    const token = await logIn(service, person);
    const tooEarly = await allAtOnce(20, instances, (instance, index) => resend(instance, token, index));
    t.strictSame(tally(tooEarly), { 429: 20 }, 'that of the registration counts');
    await standAt(60);
    const answers = await allAtOnce(20, instances, (instance, index) => resend(instance, token, index));
    t.strictSame(tally(answers), { 202: 1, 429: 19 });
    t.strictSame(answers.find(({ status }) => status === 202)?.body, { retryAfter: 60 });
    assertEarly(t, answers, 60);
    await outboxEmpty(tables);
    t.equal(mailsTo(person.email), 2);
    t.equal(await tables.$count(mails, and(eq(mails.userId, person.id), eq(mails.kind, 'confirmation'))), 2, 'no other waits');
    const last = await confirmationToken(service, person, 2);
    t.equal((await instances[1].post('/auth/confirm', { token: last, password: person.password })).status, 200);
  });

  t.test('S05 the same, of two sessions of one account and beside somebody else', async (t) => {
    const from = elapsedSeconds;
    const [person, other] = [await register(service), await register(service)];
    const tokens = [await logIn(service, person), await logIn(service, person), await logIn(service, other)];
    await standAt(from + 60);
    const answers = await allAtOnce(30, instances, (instance, index) => resend(instance, tokens[index % 3] as string, index));
    t.strictSame(tally(answers), { 202: 2, 429: 28 }, 'one for each account');
    await outboxEmpty(tables);
    t.strictSame([mailsTo(person.email), mailsTo(other.email)], [2, 2]);
  });

  t.test('S02 a hundred from fifty addresses send one mail a minute, five an hour and ten a day', async (t) => {
    const from = elapsedSeconds;
    const person = await register(service);
    const bystander = await register(service);
    const [token, other] = [await logIn(service, person), await logIn(service, bystander)];
    let asked = 0;
    /** All at once, so many seconds after the registration. */
    const ask = async (count: number, seconds: number) => {
      await standAt(from + seconds);
      const answers = await allAtOnce(count, instances, (instance, index) => resend(instance, token, asked + index));
      asked += count;
      await outboxEmpty(tables);
      return answers;
    };

    assertEarly(t, await ask(10, 59), 1);
    t.equal(mailsTo(person.email), 1, 'that of the registration');
    for (const [minute, mailsSoFar] of [2, 3, 4, 5].entries()) {
      const answers = await ask(8, (minute + 1) * 60);
      t.strictSame(tally(answers), { 202: 1, 429: 7 }, `minute ${minute + 1}`);
      // After the fifth of the hour it takes until the first is an hour old.
      assertEarly(t, answers, mailsSoFar === 5 ? 3600 - 240 : 60);
      t.equal(mailsTo(person.email), mailsSoFar);
    }
    const beyond = await ask(10, 3599);
    t.strictSame(tally(beyond), { 429: 10 });
    assertEarly(t, beyond, 1);
    for (const [index, mailsSoFar] of [6, 7, 8, 9, 10].entries()) {
      t.strictSame(tally(await ask(4, 3600 + index * 60)), { 202: 1, 429: 3 }, `in the second hour: ${mailsSoFar}`);
      t.equal(mailsTo(person.email), mailsSoFar);
    }
    for (const seconds of [2 * 3600 + 1, 12 * 3600, 24 * 3600 - 1]) {
      const answers = await ask(10, seconds);
      t.strictSame(tally(answers), { 429: 10 }, `the day is not over after ${seconds} s`);
      assertEarly(t, answers, 24 * 3600 - seconds);
    }
    t.ok(asked >= 100, `${asked} were asked for`);
    t.equal(mailsTo(person.email), 10);
    t.equal((await resend(instances[0], other)).status, 202, 'somebody else is not kept from theirs');
    const fresh = await logIn(service, person);
    await standAt(from + 24 * 3600);
    t.equal((await resend(instances[1], fresh)).status, 202, 'a day later it goes on');
    await outboxEmpty(tables);
    t.equal(mailsTo(person.email), 11);
  });
});
