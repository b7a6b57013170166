import type { Config } from '../config.ts';
import { isLoopbackHost } from '../environment.ts';
import { type Finding, findingsAbout } from './finding.ts';

const { ok, warning, error } = findingsAbout('address');

/** Where clients reach the service, and what stands between. */
export function checkAddress(config: Config): Finding[] {
  const { production, server, mail } = config;
  return [...checkPublicUrl(config), ...checkProxies(server, production), ...checkMailbox(server.host, mail.smtpUrl)];
}

function checkPublicUrl({ production, server: { publicUrl } }: Config): Finding[] {
  const { protocol, hostname, host } = new URL(publicUrl);
  const isLoopback = isLoopbackHost(hostname);
  if (production && isLoopback) {
    return [error('PUBLIC_URL is this machine: mailed links lead nobody here', 'PUBLIC_URL=https://accounts.example.com')];
  }
  if (protocol !== 'https:' && !isLoopback) {
    return [warning(`PUBLIC_URL is not https: passwords and cookies can be read on the way`, `PUBLIC_URL=https://${host}`)];
  }
  return [ok(`clients and mailed links come to ${publicUrl}`)];
}

/** In production clients come by https, which the service does not speak: there is a proxy. */
function checkProxies({ host, trustedProxies }: Config['server'], production: boolean): Finding[] {
  if (trustedProxies.length > 0) return [ok(`${trustedProxies.join(', ')} may tell whom a request is from`)];
  if (!production) return [];
  const what = 'TRUSTED_PROXIES is empty: all clients have the address of the proxy, and share its limits';
  return [warning(what, `TRUSTED_PROXIES=${proxyBefore(host)}`)];
}

/** On loopback, nobody but this machine can be the proxy. */
function proxyBefore(host: string): string {
  if (host === '::1' || host === '[::1]') return '::1';
  return isLoopbackHost(host) ? '127.0.0.1' : 'ADDRESS_OF_THE_PROXY';
}

function checkMailbox(host: string, smtpUrl: string | undefined): Finding[] {
  if (smtpUrl !== undefined || host === '::1' || isLoopbackHost(host)) return [];
  return [warning(`whoever reaches ${host} reads all mails at /dev/mail, and with them takes any account`, 'HOST=127.0.0.1')];
}
