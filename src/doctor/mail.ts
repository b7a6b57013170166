import { TLSSocket } from 'node:tls';
import SMTPConnection from 'nodemailer/lib/smtp-connection';
import type { Config } from '../config.ts';
import { smtpServer } from '../mail/smtp-transport.ts';
import { certificateFault } from './certificates.ts';
import { type Finding, findingsAbout, nameOf } from './finding.ts';
import { isLocalServer, isMisspelt, mayShareSite } from './hosts.ts';

const { ok, warning, error } = findingsAbout('mail');

const patience = { dnsTimeout: 5000, connectionTimeout: 5000, greetingTimeout: 5000, socketTimeout: 5000 };

/** Whether mails would be taken: goes as far as the login, and sends none. */
export async function checkMail({ mail: { smtpUrl, from, dkim } }: Config): Promise<Finding[]> {
  if (smtpUrl === undefined) return [ok('SMTP_URL is not set: mails stay here, and are shown at /dev/mail')];
  const senderDomain = from.address.split('@')[1] ?? '';
  const findings = isMisspelt(smtpUrl) ? [] : await checkServer(smtpUrl);
  if (dkim === undefined || mayShareSite(dkim.domainName, senderDomain)) return findings;
  const what = `they are signed for ${dkim.domainName}, but come from ${senderDomain}: for DMARC they are not signed (RFC 7489 §3.1.1)`;
  return [...findings, warning(what, `DKIM_DOMAIN=${senderDomain}`)];
}

async function checkServer(url: string): Promise<Finding[]> {
  const { auth, ...server } = smtpServer(url);
  const connection = new SMTPConnection({ ...server, ...patience });
  const step = stepsOf(connection);
  try {
    await step((done) => connection.connect(done));
    const findings = [tellConnection(connection, url)];
    if (auth !== undefined && connection.allowsAuth) await step((done) => connection.login(auth, done));
    connection.quit();
    return [...findings, tellLogin(auth !== undefined, connection.allowsAuth)];
  } catch (cause) {
    connection.close();
    return [tellFailure(cause, url)];
  }
}

/** An error may come as an answer or as an event, and so may the end of the connection. */
function stepsOf(connection: SMTPConnection) {
  const end = new Promise<never>((_, reject) => {
    connection.on('error', reject);
    connection.once('end', () => reject(new Error('the connection was closed')));
  });
  end.catch(() => {});
  return (begin: (done: (cause?: Error | null) => void) => void) =>
    Promise.race([end, new Promise<void>((resolve, reject) => begin((cause) => (cause ? reject(cause) : resolve())))]);
}

function tellConnection({ _socket: socket }: SMTPConnection, url: string): Finding {
  if (socket instanceof TLSSocket) return ok(`the server answers over ${socket.getProtocol()}, and its certificate is right`);
  if (isLocalServer(url)) return ok('the server answers, without TLS: it is on this machine');
  return warning('the server answers without TLS: mails, and the links in them, can be read and changed on the way');
}

function tellLogin(hasUser: boolean, allowsAuth: boolean): Finding {
  if (!hasUser) return ok('the server is used without a login: SMTP_URL names no user');
  if (allowsAuth) return ok('the login is right');
  return warning('the server has no login here: user and password of SMTP_URL are not used');
}

/** RFC 4954 §6: this may pass. */
const temporaryAuthenticationFailure = 454;

function tellFailure(cause: unknown, url: string): Finding {
  const { code = '', originalCode, responseCode } = Object(cause) as { code?: string; originalCode?: string; responseCode?: number };
  const otherServer = 'SMTP_URL=smtps://USER:PASSWORD@HOST';
  const fault = certificateFault(cause);
  if (fault) return error(`the server is not trusted: ${fault.what}`, fault.isUntrusted ? 'NODE_EXTRA_CA_CERTS=/PATH/ca.pem' : otherServer);
  if (code === 'EAUTH') {
    if (responseCode === temporaryAuthenticationFailure) return error(`the server cannot check the login for now (${responseCode})`);
    return error(`the server refuses user and password${responseCode === undefined ? '' : ` (${responseCode})`}`, otherServer);
  }
  const reason = originalCode ?? nameOf(cause);
  if (code === 'ETLS') {
    const mend = isLocalServer(url) ? 'SMTP_URL="$(echo "$SMTP_URL" | sed s/requireTLS=true/requireTLS=false/)"' : otherServer;
    return error('the server offers no STARTTLS, which is demanded', mend);
  }
  if (/SSL|TLS|EPROTO/.test(reason))
    return error(`the server speaks no TLS on this port (${reason}): it may take smtp:// instead of smtps://`);
  return error(`the server cannot be reached: ${responseCode === undefined ? reason : `it answers ${responseCode}`}`, otherServer);
}
