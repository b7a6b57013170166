import type { AddressInfo } from 'node:net';
import { SMTPServer } from 'smtp-server';
import type { Test } from 'tap';

/** A mail server that knows none of the mailboxes, and says so for good, each by its name, as real ones do. */
export async function startRefusingMailServer(t: Test): Promise<string> {
  const server = new SMTPServer({
    authOptional: true,
    disabledCommands: ['STARTTLS'],
    onRcptTo: ({ address }, _session, callback) =>
      callback(Object.assign(new Error(`5.1.1 <${address}>: no such mailbox`), { responseCode: 550 })),
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  t.teardown(() => new Promise<void>((resolve) => server.close(resolve)));
  return `smtp://127.0.0.1:${(server.server.address() as AddressInfo).port}`;
}

/** The address of a mail server that is down: nobody who is not root can listen there. */
export const absentMailServer = 'smtp://127.0.0.1:1';
