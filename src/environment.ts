import { createPrivateKey } from 'node:crypto';
import { BlockList, isIP } from 'node:net';
import { isGuessable } from './guessable-secret.ts';

/** Characters that would break a mail header or a log line. */
const control = /[\p{Cc}\u2028\u2029]/u;

/** Whom mails are from: a name to show, and an address. */
export interface Sender {
  readonly name: string;
  readonly address: string;
}

/** A host name or address that needs no TLS to be private. */
export function isLoopbackHost(host: string): boolean {
  return host === 'localhost' || host.endsWith('.localhost') || host === '[::1]' || /^127(?:\.\d{1,3}){3}$/.test(host);
}

/**
 * Reads variables and collects what is wrong with them instead of throwing, so that the caller can report all
 * faults together. A faulty variable reads as its default; the caller must look at `faults` before using anything.
 */
export function createEnvironmentReader(env: Readonly<Record<string, string | undefined>>) {
  const faults: string[] = [];

  function fault(name: string, what: string): void {
    faults.push(`${name} ${what}`);
  }

  function optional(name: string): string | undefined {
    const value = env[name];
    return value === undefined || value.trim() === '' ? undefined : value.trim();
  }

  function required(name: string): string | undefined {
    const value = optional(name);
    if (value === undefined) fault(name, 'is missing; NODE_ENV=production demands it');
    return value;
  }

  function line(name: string, fallback: string): string {
    const value = optional(name) ?? fallback;
    if (!control.test(value)) return value;
    fault(name, 'must be one line without control characters');
    return fallback;
  }

  function oneOf<const Choice extends string>(name: string, choices: readonly Choice[], fallback: Choice): Choice {
    const value = optional(name) ?? fallback;
    const found = choices.find((choice) => choice === value);
    if (found === undefined) fault(name, `must be one of ${choices.join(', ')}`);
    return found ?? fallback;
  }

  function integer(name: string, fallback: number, range: { min: number; max: number }): number {
    const text = optional(name);
    if (text === undefined) return fallback;
    const value = /^\d{1,15}$/.test(text) ? Number(text) : Number.NaN;
    if (value >= range.min && value <= range.max) return value;
    fault(name, `must be a whole number from ${range.min} to ${range.max}`);
    return fallback;
  }

  /** @returns the URL as it was written; one of the web in its normal form (RFC 3986 §6.2.2), without a slash at its end */
  function url(name: string, value: string, { schemes }: { schemes: readonly string[] }): string {
    const parsed = URL.canParse(value) ? new URL(value) : undefined;
    const scheme = parsed?.protocol.slice(0, -1) ?? '';
    const web = scheme === 'http' || scheme === 'https';
    if (parsed === undefined || !schemes.includes(scheme) || parsed.hostname === '') {
      fault(name, `must be a URL that starts with ${schemes.map((each) => `${each}://`).join(' or ')}`);
    } else if (web && (parsed.search !== '' || parsed.hash !== '' || parsed.username !== '' || parsed.password !== '')) {
      fault(name, 'must have no user, query or fragment');
    }
    return web ? (parsed?.href ?? value).replace(/\/+$/, '') : value;
  }

  /** The library would take options from a query, and end the process for a database that is no number. */
  function redisUrl(name: string, value: string): void {
    url(name, value, { schemes: ['redis', 'rediss'] });
    const isPlain = URL.canParse(value) && /^(?:\/\d{0,4})?$/.test(new URL(value).pathname) && !/[?#]/.test(value);
    if (!isPlain) fault(name, 'must be redis://user:password@host:port/number, with whatever is no letter or digit in it percent-encoded');
  }

  /** A service on the web that something is asked of; what is sent there must not be read on the way. */
  function serviceUrl(name: string): string | undefined {
    const value = optional(name);
    if (value === undefined) return undefined;
    url(name, value, { schemes: ['https', 'http'] });
    const isClear = URL.canParse(value) && new URL(value).protocol === 'http:' && !isLoopbackHost(new URL(value).hostname);
    if (isClear) fault(name, 'must start with https://');
    return value;
  }

  function urlTemplate(name: string, fallback: string): string {
    // The default is made from other variables: what is wrong with them is told once, under their own names.
    if (optional(name) === undefined) return fallback;
    const value = line(name, fallback);
    const filled = value.replace('{token}', 'token');
    if (filled === value || !URL.canParse(filled)) fault(name, 'must be a URL with {token} in it');
    else if (/^(javascript|data|file|blob):/i.test(filled)) fault(name, 'must not use that scheme');
    return value;
  }

  /** An address that people are sent to; it may have a query, but takes no name with it. */
  function appUrl(name: string, { schemes = ['http', 'https'] }: { schemes?: readonly string[] } = {}): string {
    const value = line(name, '');
    const parsed = /^https?:\/\/[^/\\]/i.test(value) && URL.canParse(value) ? new URL(value) : undefined;
    const isAllowed = parsed !== undefined && schemes.includes(parsed.protocol.slice(0, -1));
    if (!isAllowed || parsed.username !== '' || parsed.password !== '')
      fault(name, `must be a URL that starts with ${schemes.map((each) => `${each}://`).join(' or ')}`);
    return value;
  }

  function origins(name: string): readonly string[] {
    const list = commaSeparated(optional(name));
    if (!list.every((each) => URL.canParse(each) && new URL(each).origin === each)) {
      fault(name, 'must be a comma-separated list of origins, such as https://app.example.com');
    }
    return list;
  }

  /** Where something answers, without a path: scheme, host and port. */
  function origin(name: string, value: string): string {
    const parsed = URL.canParse(value) ? new URL(value) : undefined;
    const isOrigin = parsed !== undefined && /^https?:$/.test(parsed.protocol) && `${parsed.origin}/` === parsed.href;
    if (!isOrigin) fault(name, 'must be an address without a path, such as http://127.0.0.1:8080');
    return isOrigin ? parsed.origin : value;
  }

  /** Paths as they stand in a URL, but without anything that is encoded; one slash at the end does not matter. */
  function paths(name: string): readonly string[] {
    const list = commaSeparated(optional(name));
    const isPlain = (path: string) => /^\/(?:[\w.~!$&'()+;=@-]+\/?)*$/.test(path) && !/\/\.{1,2}(?:[;/]|$)/.test(path);
    if (!list.every(isPlain)) fault(name, 'must be a comma-separated list of paths, such as /static,/webhooks');
    return list.map((path) => (path === '/' ? path : path.replace(/\/$/, '')));
  }

  /** A variable that means nothing without another one. */
  function needs(name: string, other: string): void {
    if (optional(name) !== undefined) fault(name, `means nothing without ${other}`);
  }

  /** A port of its own; 0, which is whichever is free, always is. */
  function portBeside(name: string, other: string, port: number): number {
    const value = integer(name, 0, { min: 0, max: 65_535 });
    if (value !== 0 && value === port) fault(name, `must be another port than ${other}`);
    return value;
  }

  function networks(name: string): readonly string[] {
    const list = commaSeparated(optional(name));
    if (!list.every(isNetwork))
      fault(name, 'must be a comma-separated list of addresses or CIDR ranges, none of them wider than /8, or /7 of IPv6');
    return list;
  }

  function sender(name: string, value: string): Sender {
    const [, display = '', bracketed, bare] = control.test(value)
      ? []
      : (/^(?:([^<>]*)<([^\s<>@,;]+@[^\s<>@,;]+)>|([^\s<>@,;]+@[^\s<>@,;]+))$/.exec(value) ?? []);
    const address = bracketed ?? bare;
    if (address === undefined) fault(name, 'must be one address, such as Latchkey <no-reply@example.com>');
    return { name: display.trim().replace(/^"(.*)"$/, '$1'), address: address ?? '' };
  }

  /** Three variables that go together: all or none. */
  function dkim(prefix: string): { domainName: string; keySelector: string; privateKey: string } | undefined {
    const [domainName, keySelector, key] = ['DOMAIN', 'SELECTOR', 'PRIVATE_KEY'].map((each) => optional(`${prefix}_${each}`));
    if (domainName === undefined && keySelector === undefined && key === undefined) return undefined;
    const privateKey = key?.replaceAll('\\n', '\n') ?? '';
    if (domainName === undefined || keySelector === undefined || key === undefined) {
      fault(`${prefix}_*`, `needs all of ${prefix}_DOMAIN, ${prefix}_SELECTOR and ${prefix}_PRIVATE_KEY`);
    } else if (!isPrivateKey(privateKey)) {
      fault(`${prefix}_PRIVATE_KEY`, 'must be a private key in PEM (line breaks may be written as \\n)');
    }
    return { domainName: domainName ?? '', keySelector: keySelector ?? '', privateKey };
  }

  function secrets(name: string, value: string | undefined): readonly string[] {
    const list = value?.split(',').map((each) => each.trim()) ?? [];
    if (list.some((secret) => Buffer.byteLength(secret) < 32)) fault(name, 'must have at least 32 bytes (openssl rand -base64 48)');
    else if (list.some(isGuessable)) fault(name, 'is not random, as far as one can see (openssl rand -base64 48)');
    return list;
  }

  return {
    faults,
    optional,
    required,
    line,
    oneOf,
    integer,
    url,
    redisUrl,
    serviceUrl,
    urlTemplate,
    appUrl,
    origin,
    origins,
    paths,
    needs,
    portBeside,
    networks,
    sender,
    dkim,
    secrets,
  };
}

function commaSeparated(text = ''): string[] {
  return text
    .split(',')
    .map((each) => each.trim())
    .filter((each) => each !== '');
}

function isPrivateKey(pem: string): boolean {
  try {
    return createPrivateKey(pem).type === 'private';
  } catch {
    return false;
  }
}

function isNetwork(text: string): boolean {
  const [address = '', bits, ...rest] = text.split('/');
  const version = isIP(address);
  if (version === 0 || rest.length > 0) return false;
  if (bits === undefined) return true;
  const [widest, narrowest] = version === 4 ? [8, 32] : [7, 128];
  const length = Number(bits);
  if (!/^\d{1,3}$/.test(bits) || length < widest || length > narrowest) return false;
  return version === 4 || isNarrowInIpv4(address, length);
}

/** Addresses of IPv4 are some of IPv6, too, behind 96 bits (RFC 4291 §2.5.5.2): of those, no network may hold more than a /8 does. */
function isNarrowInIpv4(address: string, length: number): boolean {
  const network = new BlockList();
  network.addSubnet(address, Math.min(length, 96), 'ipv6');
  return length >= 96 + 8 || !network.check('::ffff:0.0.0.0', 'ipv6');
}
