import { once } from 'node:events';
import { readFile } from 'node:fs/promises';
import { fileURLToPath } from 'node:url';
import { eq } from 'drizzle-orm';
import t, { type Test } from 'tap';
import { events } from '../../src/db/schema.ts';
import type { Failpoint } from '../../src/failpoints.ts';
import { ManualClock } from '../support/clock.ts';
import { createDatabase, onServer } from '../support/database.ts';
import { eventually } from '../support/eventually.ts';
import { createFaultyMailServer } from '../support/faulty-mail-server.ts';
import { mailRow, settled } from '../support/outbox.ts';
import { believedPerson, newDetails } from '../support/person.ts';
import { type RunningProcess, startProcess } from '../support/process.ts';
import { startInstance, startService } from '../support/service.ts';
import { openTables } from '../support/tables.ts';
import { startProxy } from '../support/tcp-proxy.ts';

const file = fileURLToPath(new URL('crashing-instance.ts', import.meta.url));
const skip = !onServer && 'needs a PostgreSQL server';

async function isStopped({ child }: RunningProcess): Promise<boolean> {
  return /\) T /.test(await readFile(`/proc/${child.pid}/stat`, 'utf8'));
}

/** An instance claims the mail of a registration, and is stopped at a point; another one is 56 s further, and has taken the mail over. */
async function stopAfter(t: Test, point: Failpoint) {
  const [database, mailServer] = await Promise.all([createDatabase(t), createFaultyMailServer(t)]);
  await mailServer.start();
  const env = { ...database, SMTP_URL: mailServer.url, ARGON2_MEMORY_KIB: '8', ARGON2_PASSES: '1' };
  const victim = startProcess(t, { file }, { ...env, STOP_AFTER: point });
  const [, base] = await victim.says(/listens at (\S+)/);
  const details = newDetails();
  const headers = { 'content-type': 'application/json' };
  const answer = fetch(`${base}/auth/register`, { method: 'POST', headers, body: JSON.stringify(details) });
  await eventually('it is stopped', () => isStopped(victim));
  const tables = openTables(t, { env });
  const row = () => mailRow(tables, details.email);
  t.match(await row(), { status: 'queued', attempts: 1, lease: String });

  return {
    ...{ answer, details, mailServer, row, tables },
    async takeOver(): Promise<void> {
      const clock = new ManualClock();
      clock.advance({ seconds: 56 });
      await startInstance(t, env, clock);
    },
    /** Has it go on until that many copies have come, and come to an end by itself, so that it has done with the mail whatever it does. */
    async goOn(copies: number): Promise<void> {
      victim.child.kill('SIGCONT');
      t.equal((await answer).status, 201);
      await eventually(`of the mail, ${copies} have come`, () => mailServer.taken.length === copies, 60_000);
      victim.child.kill('SIGTERM');
      t.match(await victim.ended(), { code: 0 });
    },
    async assertOneCopyMore(t: Test): Promise<void> {
      const { id } = await row();
      const ids = mailServer.taken.map(({ messageId }) => messageId);
      t.strictSame(ids, [`<${id}@latchkey.localhost>`, `<${id}@latchkey.localhost>`]);
      t.equal(await tables.$count(events, eq(events.type, 'confirmation_mail_sent')), 1, 'it is recorded once');
    },
  };
}

t.test('an instance is stopped for longer than the lease of a mail, and goes on', { skip }, async (t) => {
  t.test('before it has sent it, and after another one has: one copy more, and the row stays as it was', async (t) => {
    const { details, goOn, row, tables, takeOver, assertOneCopyMore } = await stopAfter(t, 'mail claimed');
    await takeOver();
    const sent = await settled(tables, details.email, 'sent');
    await goOn(2);
    t.strictSame(await row(), sent);
    await assertOneCopyMore(t);
  });

  t.test('after it has sent it, and while another one sends it: the mail stays with that one', async (t) => {
    const { details, goOn, mailServer, row, tables, takeOver, assertOneCopyMore } = await stopAfter(t, 'mail accepted');
    const data = once(mailServer.events, 'data');
    let release = () => {};
    mailServer.fail({ hold: new Promise<void>((resolve) => (release = resolve)) });
    await takeOver();
    await data;
    const claimed = await row();
    t.match(claimed, { status: 'queued', attempts: 2, lease: String });
    await goOn(1);
    t.strictSame(await row(), claimed);
    release();
    await settled(tables, details.email, 'sent');
    await assertOneCopyMore(t);
  });
});

t.test('an instance that was stopped does not let in whose session was ended meanwhile', { skip }, async (t) => {
  const service = await startService(t);
  const { DATABASE_URL = '', ...env } = service.env;
  const url = new URL(DATABASE_URL);
  const link = await startProxy(t, Number(url.port));
  const address = Object.assign(new URL(url), { hostname: '127.0.0.1', port: link.port }).href;
  const victim = startProcess(t, { file }, { ...env, DATABASE_URL: address });
  const [, base] = await victim.says(/listens at (\S+)/);
  const { token } = await believedPerson(service);
  // As the client that logged in.
  const headers = { authorization: `Bearer ${token}`, 'user-agent': 'lightMyRequest' };
  const read = async () => (await fetch(`${base}/secret`, { headers })).status;
  t.equal(await read(), 200);

  victim.child.kill('SIGSTOP');
  await eventually('it is stopped', () => isStopped(victim));
  const since = performance.now();
  t.equal((await service.post('/auth/logout', undefined, { token })).status, 204);
  await eventually('what it knew is too old', () => performance.now() - since > 3500);
  link.blackHole();
  const early = read();
  victim.child.kill('SIGCONT');
  t.equal(await early, 503, 'while it cannot ask the database, it lets nobody in');
  link.restore();
  await eventually('it has asked', async () => {
    const status = await read();
    t.not(status, 200);
    return status === 401;
  });
});
