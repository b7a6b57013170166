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
export function settled(tables: Queryable, recipient: string, status: MailStatus): Promise<MailRow> {
  return mailThat(tables, recipient, `the mail to ${recipient} is ${status}`, (row) => row.status === status);
}

/** That mail, as soon as so many attempts have failed and it waits for another. */
export function postponed(tables: Queryable, recipient: string, attempts: number): Promise<MailRow> {
  const isIt = (row: MailRow) => row.status === 'queued' && row.lease === null && row.lastError !== null && row.attempts === attempts;
  return mailThat(tables, recipient, `attempt ${attempts} to mail ${recipient} has failed`, isIt);
}

/** As it was when it was so: a moment later it may be otherwise. */
async function mailThat(tables: Queryable, recipient: string, what: string, isIt: (row: MailRow) => boolean): Promise<MailRow> {
  let row = await mailRow(tables, recipient);
  await eventually(what, async () => {
    row = await mailRow(tables, recipient);
    return isIt(row);
  });
  return row;
}
