import type { IncomingHttpHeaders } from 'node:http';
import proxyAddr from '@fastify/proxy-addr';
import type { FastifyRequest } from 'fastify';
import { inEveryReading } from './plain-path.ts';

const maxLength = 2048;
/** Paths are resolved against a host that nobody has, to see whether they stay there. */
const base = 'http://path.invalid';

/** The path that somebody came for, to be sent back to; undefined when it is not known, or cannot be asked for again. */
export type OriginalPath = (request: FastifyRequest) => string | undefined;

/** Asks the proxy that passes a request on, if it is a trusted one; nobody else is believed. See {@link findOriginalPath}. */
export function createOriginalPath(trustedProxies: readonly string[]): OriginalPath {
  // Fastify's own decision about whose X-Forwarded-For counts, which it does not give away.
  const isTrusted = proxyAddr.compile([...trustedProxies]);
  return ({ socket, headers }) => (isTrusted(socket.remoteAddress ?? '', 0) ? findOriginalPath(headers) : undefined);
}

/**
 * The path and query of the request that a proxy asks about, as nginx (`X-Original-URI`) or Traefik and Caddy
 * (`X-Forwarded-Uri`) tell it. Undefined where they tell two stories. Does not check who says so.
 */
export function findOriginalPath(headers: IncomingHttpHeaders): string | undefined {
  const methods = told(headers, ['x-original-method', 'x-forwarded-method']);
  const [uri, ...others] = told(headers, ['x-original-uri', 'x-forwarded-uri']);
  if (uri === undefined || others.length > 0) return undefined;
  return methods.every(isRepeatable) ? pathToReturnTo(uri) : undefined;
}

function told(headers: IncomingHttpHeaders, names: readonly string[]): string[] {
  return [...new Set(names.flatMap((name) => headers[name] ?? []))];
}

/** Whether a browser that is sent to an address asks for it as it was asked for before. */
export function isRepeatable(method: string): boolean {
  return method === 'GET' || method === 'HEAD';
}

/**
 * A path and query that a person can be sent back to: a browser that follows it stays on the host that it is on, even
 * where somebody has decoded it once too often. Undefined for anything else, and for more than 2048 characters.
 */
export function pathToReturnTo(uri: string): string | undefined {
  if (uri.length > maxLength || !/^\/[!-[\]-~]*$/.test(uri) || !leadsNowhereElse(uri)) return undefined;
  const { pathname, search } = new URL(uri, base);
  return leadsNowhereElse(pathname) ? pathname + search : undefined;
}

function leadsNowhereElse(uri: string): boolean {
  const [path = ''] = uri.split('?', 1);
  return inEveryReading(path, isOwnPath);
}

/** Browsers take a backslash for a slash, leave out tabs and line breaks, and read `//` as the beginning of a host. */
function isOwnPath(path: string): boolean {
  if (!/^\/(?!\/)[^\\\p{Cc}]*$/u.test(path)) return false;
  const { origin, pathname } = new URL(path, base);
  return origin === base && !pathname.startsWith('//');
}
