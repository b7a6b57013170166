import { EventEmitter, on } from 'node:events';
import type { AddressInfo } from 'node:net';
import { type ParsedMail, simpleParser } from 'mailparser';
import { SMTPServer } from 'smtp-server';
import type { Test } from 'tap';

/** What a mail server received, with the envelope that it came in. */
export interface ReceivedMail extends ParsedMail {
  readonly recipients: readonly string[];
}

/** A real mail server on loopback, which keeps what it receives. */
export interface MailServer {
  readonly url: string;
  readonly received: readonly ReceivedMail[];
  /** The `count`th mail to an address, as soon as it is there. */
  mailTo(address: string, count?: number): Promise<ReceivedMail>;
}

export async function startMailServer(t: Test): Promise<MailServer> {
  const arrivals = new EventEmitter();
  const received: ReceivedMail[] = [];
  const server = new SMTPServer({
    authOptional: true,
    disabledCommands: ['STARTTLS'],
    onData(stream, session, callback) {
      simpleParser(stream).then((mail) => {
        received.push({ ...mail, recipients: session.envelope.rcptTo.map(({ address }) => address) });
        arrivals.emit('mail');
        callback();
      }, callback);
    },
  });
  // Of a client that was killed.
  server.on('error', () => {});
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  t.teardown(() => new Promise<void>((resolve) => server.close(resolve)));
  const { port } = server.server.address() as AddressInfo;

  async function mailTo(address: string, count = 1): Promise<ReceivedMail> {
    const find = () =>
      received.filter(({ recipients }) => recipients.some((each) => each.toLowerCase() === address.toLowerCase()))[count - 1];
    const found = find();
    if (found !== undefined) return found;
    for await (const _ of on(arrivals, 'mail', { signal: AbortSignal.timeout(30_000) })) {
      const arrived = find();
      if (arrived !== undefined) return arrived;
    }
    throw new Error('unreachable: the signal ends the wait');
  }

  return { url: `smtp://127.0.0.1:${port}`, received, mailTo };
}

/** The links of a mail's text part, in order. */
export function linksOf(mail: ReceivedMail): string[] {
  return mail.text?.match(/\bhttps?:\/\/\S+/g) ?? [];
}
