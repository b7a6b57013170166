import type { Test } from 'tap';
import type { Message } from '../../src/mail/message.ts';
import type { MailRow } from '../../src/mail/outbox.ts';
import { eventually } from './eventually.ts';
import { postponed } from './outbox.ts';
import { register } from './person.ts';
import { startService } from './service.ts';
import { openTables } from './tables.ts';

/** A service whose mail server is away, with a mail in its outbox that is left for a worker of the test's own. */
export async function startWithUnsentMail(t: Test) {
  const service = await startService(t, { SMTP_URL: 'smtp://127.0.0.1:1' });
  const { email } = await register(service);
  await eventually('the instance that runs sends nothing', () => service.app.services.mailOutage() !== undefined);
  const tables = openTables(t, service);
  await postponed(tables, email, 1);
  return { service, tables, email };
}

/** Words are not what these tests are about. */
export async function compose({ id, recipient }: Pick<MailRow, 'id' | 'recipient'>): Promise<Message> {
  return { id, to: recipient, subject: '', text: '', html: '' };
}
