import { once } from 'node:events';
import { watch } from 'node:fs';
import { mkdir, readdir, readFile, rename, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { createTransport } from 'nodemailer';
import type { Clock } from '../clock.ts';
import type { Sender } from '../environment.ts';
import { mailOptions } from './mail-options.ts';
import type { MailTransport } from './message.ts';

/** A mail as the embedded mailbox keeps it. */
export interface MailboxMail {
  readonly id: string;
  readonly to: string;
  readonly subject: string;
  readonly at: string;
  readonly links: string[];
  readonly text: string;
  readonly html: string;
  /** The whole mail as it would have gone over the wire (RFC 5322). */
  readonly source: string;
}

interface MailFilter {
  /** Only mails to this address, in any case. */
  readonly to?: string | undefined;
  /** Only mails newer than the one with this id. */
  readonly after?: string | undefined;
}

/** Where mails go when no mail server is configured: a directory with a file each. For development and tests. */
export interface Mailbox extends MailTransport {
  /** Newest first. */
  list(filter?: MailFilter): Promise<MailboxMail[]>;
  /** The same, but waits for the first of them if there is none yet; none when the time is over, or the mailbox is closed. */
  waitFor(filter: MailFilter, seconds: number): Promise<MailboxMail[]>;
  find(id: string): Promise<MailboxMail | undefined>;
}

const fileName = /^[0-9a-f-]{36}\.json$/;

export async function openMailbox(directory: string, from: Sender, clock: Clock): Promise<Mailbox> {
  await mkdir(directory, { recursive: true, mode: 0o700 });
  const closing = new AbortController();
  const writer = createTransport({ streamTransport: true, buffer: true, newline: 'windows' });

  async function read(file: string): Promise<MailboxMail> {
    return JSON.parse(await readFile(join(directory, file), 'utf8')) as MailboxMail;
  }

  // Ids begin with the time, so that the order of the names is that of the mails.
  async function list({ to, after = '' }: MailFilter = {}): Promise<MailboxMail[]> {
    const files = (await readdir(directory)).filter((file) => fileName.test(file) && file > `${after}.json`).sort();
    const mails = await Promise.all(files.reverse().map(read));
    return mails.filter((mail) => to === undefined || mail.to.toLowerCase() === to.toLowerCase());
  }

  return {
    async send(message) {
      const { message: source } = await writer.sendMail(mailOptions(message, from));
      const { id, to, subject, text, html } = message;
      const links = text.match(/\bhttps?:\/\/\S+/g) ?? [];
      const mail: MailboxMail = { id, to, subject, at: clock.now().toISOString(), links, text, html, source: String(source) };
      const draft = join(directory, `${id}.new`);
      await writeFile(draft, JSON.stringify(mail), { mode: 0o600 });
      await rename(draft, join(directory, `${id}.json`));
    },

    list,

    async waitFor(filter, seconds) {
      const watcher = watch(directory);
      const signal = AbortSignal.any([closing.signal, AbortSignal.timeout(seconds * 1000)]);
      try {
        for (;;) {
          // Listening begins before looking, or a mail could slip in between.
          const arrival = once(watcher, 'change', { signal }).then(
            () => true,
            () => false,
          );
          const mails = await list(filter);
          if (mails.length > 0 || !(await arrival)) return mails;
        }
      } finally {
        watcher.close();
      }
    },

    async find(id) {
      const files = await readdir(directory);
      const file = files.find((each) => each === `${id}.json`);
      return file === undefined ? undefined : read(file);
    },

    async probe() {},

    close: () => closing.abort(),
  };
}
