import { desc, eq } from 'drizzle-orm';
import type { Queryable } from '../../src/db/database.ts';
import type { MailStatus } from '../../src/db/kinds.ts';
import { mails } from '../../src/db/schema.ts';
import type { MailRow } from '../../src/mail/outbox.ts';
import { eventually } from './eventually.ts';

/** The newest mail to an address. */
export async function mailRow(tables: Queryable, recipient: string): Promise<MailRow> {
  const [row] = await tables.select().from(mails).where(eq(mails.recipient, recipient)).orderBy(desc(mails.createdAt)).limit(1);
  if (row === undefined) throw new Error(`there is no mail to ${recipient}`);
  return row;
}

/** That mail, as soon as it has ended so. */
export async function settled(tables: Queryable, recipient: string, status: MailStatus): Promise<MailRow> {
  await eventually(`the mail to ${recipient} is ${status}`, async () => (await mailRow(tables, recipient)).status === status);
  return mailRow(tables, recipient);
}

/** That mail, as soon as so many attempts have failed and it waits for another. */
export async function postponed(tables: Queryable, recipient: string, attempts: number): Promise<MailRow> {
  await eventually(`attempt ${attempts} to mail ${recipient} has failed`, async () => {
    const row = await mailRow(tables, recipient);
    return row.status === 'queued' && row.lease === null && row.lastError !== null && row.attempts === attempts;
  });
  return mailRow(tables, recipient);
}
