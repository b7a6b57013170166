import { createTransport } from 'nodemailer';
import type { DkimConfig } from '../config.ts';
import { isLoopbackHost, type Sender } from '../environment.ts';
import { mailOptions } from './mail-options.ts';
import type { MailTransport } from './message.ts';

interface SmtpOptions {
  readonly url: string;
  readonly from: Sender;
  readonly dkim: DkimConfig | undefined;
}

/**
 * The server that SMTP_URL names, and how it is talked to.
 *
 * `smtps://` is TLS from the first byte. `smtp://` demands STARTTLS, so that nobody on the way can strip it, except
 * towards this machine itself; `?requireTLS=false` and `?requireTLS=true` say so expressly, the latter for a tunnel that begins here.
 */
export function smtpServer(url: string) {
  const { protocol, hostname, port, username, password, searchParams } = new URL(url);
  const secure = protocol === 'smtps:';
  return {
    host: hostname.replace(/^\[|\]$/g, ''),
    port: port === '' ? (secure ? 465 : 587) : Number(port),
    secure,
    requireTLS: !secure && (searchParams.get('requireTLS') ?? String(!isLoopbackHost(hostname))) !== 'false',
    ...(username !== '' && { auth: { user: decodeURIComponent(username), pass: decodeURIComponent(password) } }),
  };
}

/** Sends over SMTP, through a small pool of connections. */
export function createSmtpTransport({ url, from, dkim }: SmtpOptions): MailTransport {
  const transport = createTransport({
    ...smtpServer(url),
    pool: true,
    maxConnections: 5,
    connectionTimeout: 10_000,
    greetingTimeout: 10_000,
    socketTimeout: 30_000,
    // Connections that nobody needs are given back soon: servers limit how many one client may have.
    idleTimeout: 10_000,
    ...(dkim && { dkim }),
    disableFileAccess: true,
    disableUrlAccess: true,
  });
  return {
    async send(message, signal) {
      await transport.sendMail({ ...mailOptions(message, from), signal });
    },
    async probe() {
      await transport.verify();
    },
    close: () => transport.close(),
  };
}
