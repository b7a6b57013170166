import { EventEmitter } from 'node:events';
import { createServer, type Server, type Socket } from 'node:net';
import { buffer } from 'node:stream/consumers';
import { type ParsedMail, simpleParser } from 'mailparser';
import { SMTPServer, type SMTPServerOptions, type SMTPServerSession } from 'smtp-server';
import type { Lifetime } from './lifetime.ts';
import { freePort } from './process.ts';

/** A mail that was taken, with its envelope and as it came over the wire. */
export interface TakenMail extends ParsedMail {
  readonly recipients: readonly string[];
  readonly source: string;
}

/** What goes wrong; replies are SMTP reply codes. */
export interface Faults {
  /** To MAIL FROM. */
  readonly sender?: number;
  /** To RCPT, by address; undefined accepts it. */
  readonly recipient?: (address: string) => number | undefined;
  /** To the whole message; `reset` takes it and then drops the connection, without an answer. */
  readonly message?: (address: string) => number | 'reset' | undefined;
  /** Waited for before the whole message is answered. */
  readonly hold?: Promise<unknown>;
  /** To AUTH. */
  readonly credentials?: number;
}

/** A mail server on one port of loopback that fails as a test wants it to, goes away, and comes back. */
export interface FaultyMailServer {
  readonly host: string;
  readonly url: string;
  /** What was taken so far; whoever needs none of it any longer may empty it. */
  readonly taken: TakenMail[];
  /** Emits `connection`, `recipient`, `data` and `taken`, and `failed` for each mail that has met a fault. */
  readonly events: EventEmitter;
  /** What goes wrong from now on. */
  fail(faults: Faults): void;
  /** Listens on its port, again or for the first time, as it is told to. */
  start(options?: SMTPServerOptions): Promise<void>;
  /** Accepts connections on its port, and says nothing. */
  startSilent(): Promise<void>;
  /** Refuses connections from now on, and drops those there are. */
  stop(): Promise<void>;
}

/** @returns one that is stopped, on a port of its own */
export async function createFaultyMailServer(t: Lifetime): Promise<FaultyMailServer> {
  const events = new EventEmitter();
  const taken: TakenMail[] = [];
  const sockets = new Set<Socket>();
  let faults: Faults = {};
  let running: Server | undefined;
  const port = await freePort();

  function dropConnectionOf({ remotePort }: SMTPServerSession): void {
    for (const socket of sockets) if (socket.remotePort === remotePort) socket.resetAndDestroy();
  }

  const handlers: SMTPServerOptions = {
    onAuth(_auth, _session, callback) {
      if (faults.credentials === undefined) return callback(null, { user: 'service' });
      callback(refusal(faults.credentials));
    },
    onMailFrom(_address, _session, callback) {
      if (faults.sender === undefined) return callback(null);
      events.emit('failed');
      callback(refusal(faults.sender));
    },
    onRcptTo({ address }, _session, callback) {
      const code = faults.recipient?.(address);
      events.emit('recipient', address);
      if (code !== undefined) events.emit('failed');
      callback(code === undefined ? null : refusal(code));
    },
    async onData(stream, session, callback) {
      const bytes = await buffer(stream).catch(() => undefined);
      // Its sender is gone.
      if (bytes === undefined) return;
      const source = bytes.toString('latin1');
      const recipients = session.envelope.rcptTo.map(({ address }) => address);
      const { hold, message } = faults;
      events.emit('data', recipients[0]);
      await hold;
      const outcome = message?.(recipients[0] ?? '');
      if (outcome !== undefined) events.emit('failed');
      if (typeof outcome === 'number') return callback(refusal(outcome));
      taken.push({ ...(await simpleParser(source)), recipients, source });
      events.emit('taken');
      if (outcome === 'reset') return dropConnectionOf(session);
      callback();
    },
  };

  async function listen(server: Server): Promise<void> {
    server.on('connection', (socket) => {
      sockets.add(socket);
      socket.on('close', () => sockets.delete(socket));
      socket.on('error', () => {});
      events.emit('connection');
    });
    await new Promise<void>((resolve, reject) => server.once('error', reject).listen(port, '127.0.0.1', resolve));
    running = server;
  }

  async function stop(): Promise<void> {
    const stopping = running;
    running = undefined;
    if (stopping === undefined) return;
    await new Promise<void>((resolve) => {
      stopping.close(() => resolve());
      for (const socket of sockets) socket.destroy();
    });
  }

  t.teardown(stop);
  return {
    host: `127.0.0.1:${port}`,
    url: `smtp://127.0.0.1:${port}`,
    taken,
    events,
    fail(next) {
      faults = next;
    },
    async start(options = { disabledCommands: ['STARTTLS'] }) {
      await stop();
      const server = new SMTPServer({ authOptional: true, allowInsecureAuth: true, ...options, ...handlers });
      // A client that rejects the certificate is what some tests are about.
      server.on('error', () => {});
      await listen(server.server as Server);
    },
    async startSilent() {
      await stop();
      await listen(createServer());
    },
    stop,
  };
}

function refusal(responseCode: number): Error {
  return Object.assign(new Error('as the test wants it'), { responseCode });
}
