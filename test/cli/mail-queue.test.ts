import { randomUUID } from 'node:crypto';
import t from 'tap';
import { run } from '../support/cli.ts';
import { eventually } from '../support/eventually.ts';
import { createFaultyMailServer } from '../support/faulty-mail-server.ts';
import { mailRow, settled } from '../support/outbox.ts';
import { register } from '../support/person.ts';
import { startInstance, startService } from '../support/service.ts';
import { openTables } from '../support/tables.ts';

t.test('the operator of a service', async (t) => {
  const mailServer = await createFaultyMailServer(t);
  await mailServer.start();
  const service = await startService(t, { SMTP_URL: mailServer.url });
  const { env } = service;
  const tables = openTables(t, service);
  mailServer.fail({ recipient: () => 550 });
  const failed = await register(service);
  const { id } = await settled(tables, failed.email, 'failed');
  mailServer.fail({});
  const sent = await register(service);
  await settled(tables, sent.email, 'sent');

  await t.test('is told that another process has the embedded database', { skip: env['DATABASE_URL'] !== undefined }, async (t) => {
    const { status, complaints } = await run('mail status', env);
    t.equal(status, 1);
    t.match(complaints, /^Another process \(\d+ on /);
  });
  await service.app.close();

  t.test('sees what is in the queue', async (t) => {
    const { status, said } = await run('mail status', env);
    t.equal(status, 0);
    t.match(said, /^queued 0, sent 1, failed 1, dropped 0\n/);
    t.match(said, new RegExp(`^failed: ${id} confirmation to ${failed.email} at 20.*Z: .*550`, 'm'));
  });

  t.test('or gives it to a program', async (t) => {
    const { status, said } = await run('mail status --json', env);
    t.equal(status, 0);
    const failures = [{ id, kind: 'confirmation', recipient: failed.email, settledAt: /Z$/, lastError: /550/ }];
    t.match(JSON.parse(said), { queued: 0, sent: 1, failed: 1, dropped: 0, oldestQueuedSeconds: null, failures });
  });

  t.test('puts a mail that failed back, which is sent then, and no other', async (t) => {
    for (const other of [randomUUID(), mailServer.taken[0]?.messageId?.slice(1, 37) ?? '']) {
      t.match(await run(`mail retry ${other}`, env), { status: 2, said: '', complaints: /there is no failed mail with this id/ });
    }
    t.match(await run(`mail retry ${id}`, env), { status: 0, said: 'It is in the queue again.' });
    t.match((await run('mail status', env)).said, /^queued 1, sent 1, failed 0, dropped 0\nthe oldest has been waiting for \d+ s$/);
    const again = await startInstance(t, env);
    const tables = openTables(t, { env });
    await settled(tables, failed.email, 'sent');
    t.equal((await mailRow(tables, failed.email)).attempts, 1);
    await eventually('it was taken', () => mailServer.taken.length === 2);
    t.strictSame(mailServer.taken[1]?.recipients, [failed.email]);
    await again.app.close();
  });
});
