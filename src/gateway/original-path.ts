import type { IncomingHttpHeaders } from 'node:http';

const maxLength = 2048;
/** Paths are resolved against a host that nobody has, to see whether they stay there. */
const base = 'http://path.invalid';
/** How often a path may be percent-encoded: nobody has a reason to do it more often, but to hide something. */
const maxLayers = 3;

/**
 * The path and query of the request that a proxy asks about, as nginx (`X-Original-URI`) or Traefik and Caddy
 * (`X-Forwarded-Uri`) tell it: something that a person can be sent back to with a GET.
 *
 * A browser that follows it stays on the host that it is on, even where somebody has decoded it once too often.
 * Undefined for anything else: another method, two stories, no path, more than 2048 characters. Does not check who says so.
 */
export function findOriginalPath(headers: IncomingHttpHeaders): string | undefined {
  const methods = told(headers, ['x-original-method', 'x-forwarded-method']);
  const [uri, ...others] = told(headers, ['x-original-uri', 'x-forwarded-uri']);
  if (uri === undefined || others.length > 0) return undefined;
  return methods.every((method) => method === 'GET' || method === 'HEAD') ? ownPath(uri) : undefined;
}

function told(headers: IncomingHttpHeaders, names: readonly string[]): string[] {
  return [...new Set(names.flatMap((name) => headers[name] ?? []))];
}

function ownPath(text: string): string | undefined {
  if (text.length > maxLength || !/^\/[!-[\]-~]*$/.test(text) || !leadsNowhereElse(text)) return undefined;
  const { pathname, search } = new URL(text, base);
  return leadsNowhereElse(pathname) ? pathname + search : undefined;
}

/** Whether the path is one of the host that it is asked for on, however often somebody decodes it. */
function leadsNowhereElse(uri: string): boolean {
  let [path = ''] = uri.split('?', 1);
  for (let layer = 0; layer <= maxLayers; layer += 1) {
    if (!isPlain(path)) return false;
    const decoded = decodeAscii(path);
    if (decoded === path) return true;
    path = decoded;
  }
  return false;
}

/** Browsers take a backslash for a slash, leave out tabs and line breaks, and read `//` as the beginning of a host. */
function isPlain(path: string): boolean {
  if (!/^\/(?!\/)[^\\\p{Cc}]*$/u.test(path)) return false;
  const { origin, pathname } = new URL(path, base);
  return origin === base && !pathname.startsWith('//');
}

function decodeAscii(text: string): string {
  return text.replace(/%([0-7][\da-f])/gi, (_, digits: string) => String.fromCharCode(Number.parseInt(digits, 16)));
}
