import { isIP } from 'node:net';
import { isLoopbackHost } from '../environment.ts';

/** Whether what is said to a server stays on this machine: over loopback, or over a socket in the file system. */
export function isLocalServer(url: string): boolean {
  const { hostname, searchParams } = new URL(url);
  const host = (searchParams.get('host') ?? hostname).replace(/^%2f/i, '/');
  return host === '' || host.startsWith('/') || host === '::1' || isLoopbackHost(host);
}

/** Whether user or password hold what ends them too early, so that the `@` comes behind the host, or a `%` that begins nothing. */
export function isMisspelt(url: string): boolean {
  const { username, password, pathname, search, hash } = new URL(url);
  return hash !== '' || `${pathname}${search}`.includes('@') || /%(?![\da-f]{2})/i.test(`${username}${password}`);
}

/**
 * Whether two hosts can be of one site, as far as one can see without the list of public suffixes: hosts that cannot are
 * never taken for one site by a browser, or for one organization by a mail server.
 */
export function mayShareSite(one: string, other: string): boolean {
  if (one === other) return true;
  const [first, second] = [one, other].map(lastTwoLabels);
  return first !== undefined && first === second;
}

function lastTwoLabels(host: string): string | undefined {
  const labels = host.toLowerCase().replace(/\.$/, '').split('.');
  if (labels.length < 2 || host.startsWith('[') || isIP(host) !== 0) return undefined;
  return labels.slice(-2).join('.');
}
