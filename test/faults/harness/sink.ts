import { createFaultyMailServer, type Faults } from '../../support/faulty-mail-server.ts';
import type { Lifetime } from '../../support/lifetime.ts';
import { linksOf } from '../../support/mail-server.ts';

/** A mail that the sink took; the same mail may come more than once. */
export interface Copy {
  readonly messageId: string;
  readonly recipient: string;
  readonly at: number;
  /** Taken, but never answered. */
  readonly isUnanswered: boolean;
  readonly link?: string;
}

/** The mail server of a run, which refuses and hangs when it is told to. */
export interface Sink {
  readonly port: number;
  readonly copies: readonly Copy[];
  /** Addresses that it has refused for good. */
  readonly refused: ReadonlySet<string>;
  fail(faults: Faults): void;
  /** How many mails have met what it was told to do to them. */
  hits(): number;
  /** The token of the newest link with such a path that came to an address at or after a time. */
  newestToken(recipient: string, path: string, since?: number): string | undefined;
}

/** Addresses there are refused for good, while the sink refuses any. */
export const refusedDomain = 'refused.example';

export async function startSink(run: Lifetime, now: () => number): Promise<Sink> {
  const mailServer = await createFaultyMailServer(run);
  const copies: Copy[] = [];
  const refused = new Set<string>();
  const links = new Map<string, Copy[]>();
  let faults: Faults = {};
  let hits = 0;
  mailServer.events.on('recipient', (address: string) => {
    if (faults.recipient?.(address) === 550) refused.add(address.toLowerCase());
  });
  mailServer.events.on('failed', () => {
    hits += 1;
  });
  mailServer.events.on('taken', () => {
    for (const mail of mailServer.taken.splice(0)) {
      const recipient = (mail.recipients[0] ?? '').toLowerCase();
      const isUnanswered = faults.message?.(recipient) === 'reset';
      const [link] = linksOf(mail);
      const copy = { messageId: mail.messageId ?? '', recipient, at: now(), isUnanswered, ...(link !== undefined && { link }) };
      copies.push(copy);
      links.set(recipient, [...(links.get(recipient) ?? []), copy]);
    }
  });
  await mailServer.start();

  return {
    port: Number(new URL(mailServer.url).port),
    copies,
    refused,
    hits: () => hits,
    fail(next) {
      faults = next;
      mailServer.fail(next);
    },
    newestToken(recipient, path, since = 0) {
      const newest = links.get(recipient)?.findLast(({ at, link }) => at >= since && link?.includes(path));
      return newest?.link?.split(path)[1];
    },
  };
}
