import { once } from 'node:events';
import t from 'tap';
import type { Message } from '../../src/mail/message.ts';
import { createMailWorker } from '../../src/mail/worker.ts';
import { eventually } from '../support/eventually.ts';
import { mailRow } from '../support/outbox.ts';
import { compose, startWithUnsentMail } from '../support/unsent-mail.ts';

t.test('an instance that stops gives back the mail whose server takes too long, for others to send at once', async (t) => {
  const { service, tables, email } = await startWithUnsentMail(t);
  const { db, clock } = service.app.services;
  const { attempts } = await mailRow(tables, email);

  const transport = {
    send: async (_message: Message, signal: AbortSignal) => {
      await once(signal, 'abort');
      throw new Error('given up');
    },
    probe: async () => {},
    close: () => {},
  };
  const worker = createMailWorker({ db, clock, transport, compose, log: service.app.log, drainMs: 10 });
  await eventually('the mail is being sent', async () => (await mailRow(tables, email)).lease !== null);
  await worker.close();
  const row = await mailRow(tables, email);
  t.match(row, { status: 'queued', lease: null, attempts, lastError: 'the instance was stopped' });
  t.ok(row.dueAt <= new Date(Date.now() + 1000) || row.dueAt <= clock.now(), 'it is due at once');
});
