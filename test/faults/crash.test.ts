import { fileURLToPath } from 'node:url';
import t, { type Test } from 'tap';
import { mails, users } from '../../src/db/schema.ts';
import type { Failpoint } from '../../src/failpoints.ts';
import { ManualClock } from '../support/clock.ts';
import { createDatabase, onServer } from '../support/database.ts';
import { createFaultyMailServer } from '../support/faulty-mail-server.ts';
import { linksOf } from '../support/mail-server.ts';
import { mailRow, settled } from '../support/outbox.ts';
import { logIn } from '../support/person.ts';
import { startProcess } from '../support/process.ts';
import { refused } from '../support/refusal.ts';
import { startInstance } from '../support/service.ts';
import { openTables } from '../support/tables.ts';

const file = fileURLToPath(new URL('crashing-instance.ts', import.meta.url));
const ada = { email: 'ada@example.com', username: 'ada', password: 'correct horse battery staple' };

/** An instance gets one registration and dies at a point of it; then another instance starts. */
async function crashAfter(t: Test, point: Failpoint) {
  const [database, mailServer] = await Promise.all([createDatabase(t), createFaultyMailServer(t)]);
  await mailServer.start();
  const env = { ...database, SMTP_URL: mailServer.url, ARGON2_MEMORY_KIB: '8', ARGON2_PASSES: '1' };
  const victim = startProcess(t, { file }, { ...env, CRASH_AFTER: point });
  const [, base] = await victim.says(/listens at (\S+)/);
  const body = JSON.stringify(ada);
  const answer = fetch(`${base}/auth/register`, { method: 'POST', headers: { 'content-type': 'application/json' }, body });
  const acknowledged = await answer.then(
    ({ status }) => status,
    () => undefined,
  );
  t.strictSame(await victim.ended(), { code: null, signal: 'SIGKILL' });
  const clock = new ManualClock();
  const service = { ...(await startInstance(t, env, clock)), env };
  const tables = openTables(t, service);

  return {
    acknowledged,
    clock,
    service,
    tables,
    taken: mailServer.taken,
    /** The link of the last copy lets in; there is one account and one row of mail, and it is sent. */
    async assertPromises(t: Test): Promise<void> {
      await settled(tables, ada.email, 'sent');
      t.strictSame([await tables.$count(users), await tables.$count(mails)], [1, 1]);
      const token = await logIn(service, ada);
      const [link = ''] = linksOf(mailServer.taken.at(-1) as NonNullable<(typeof mailServer.taken)[0]>);
      t.equal((await service.get('/secret', { token })).status, 403);
      t.equal((await service.get(new URL(link).pathname, { token })).status, 200);
      t.equal((await service.get('/secret', { token })).status, 200);
    },
  };
}

t.test('Z02: what a registration leaves when its instance is killed', { skip: !onServer && 'needs a PostgreSQL server' }, async (t) => {
  t.test('before its transaction is committed: nothing, so that it can be made again', async (t) => {
    const { acknowledged, service, tables, taken, assertPromises } = await crashAfter(t, 'account inserted');
    t.equal(acknowledged, undefined);
    t.strictSame([await tables.$count(users), await tables.$count(mails)], [0, 0]);
    t.equal((await service.post('/auth/register', ada)).status, 201);
    await assertPromises(t);
    t.equal(taken.length, 1);
  });

  t.test('before it is answered: an account with its mail, which a client that asks again is told of', async (t) => {
    const { acknowledged, service, taken, assertPromises } = await crashAfter(t, 'account committed');
    t.equal(acknowledged, undefined);
    refused(t, await service.post('/auth/register', ada), 409, 'email_taken');
    await assertPromises(t);
    t.equal(taken.length, 1);
  });

  t.test('while it holds the mail: a mail that is sent when its lease is over', async (t) => {
    const { clock, tables, taken, assertPromises } = await crashAfter(t, 'mail claimed');
    t.match(await mailRow(tables, ada.email), { status: 'queued', attempts: 1, lease: String });
    t.equal(taken.length, 0);
    clock.advance({ seconds: 56 });
    await assertPromises(t);
    t.equal(taken.length, 1);
  });

  t.test('after the mail server has taken the mail: one copy more, with the same Message-ID', async (t) => {
    const { acknowledged, clock, tables, taken, assertPromises } = await crashAfter(t, 'mail accepted');
    t.equal(acknowledged, 201);
    t.equal(taken.length, 1);
    const { id, status } = await mailRow(tables, ada.email);
    t.equal(status, 'queued');
    clock.advance({ seconds: 56 });
    await assertPromises(t);
    t.strictSame(
      taken.map(({ messageId }) => messageId),
      [`<${id}@latchkey.localhost>`, `<${id}@latchkey.localhost>`],
    );
  });
});
