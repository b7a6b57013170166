import type { Socket } from 'node:net';
import type { FastifyRequest } from 'fastify';
import { Problem } from '../problems/problem.ts';
import { maxUrlLength } from '../schemas.ts';
import { countHeader } from './count-header.ts';

/**
 * More than any browser and any row of proxies send. Node reads any number, keeps 2000 and drops the others unseen, of
 * which one may be what a proxy has put at the end.
 */
const maxHeaderFields = 100;

/** RFC 3986 §3.2: a name or an address, and a port; no path, user or query. */
const hostText = /^(?:[\w.~!$&'()*+,;=%-]*|\[[\w.:%]+\])(?::\d*)?$/;

/** What is wrong with a request that no route may ever see; asked before the guard looks at it. */
export function refusalOf(request: FastifyRequest): Problem | undefined {
  const { url, raw } = request;
  if (hasHungUp(raw.socket)) return ambiguous();
  if (url.length > maxUrlLength) return new Problem('uri_too_long');
  if (!isTarget(request) || url.includes('%00')) return new Problem('malformed_request');
  // RFC 9112 §3.2. Node's own check is off, since its answer is not a problem; of two hosts it would take the first.
  const hosts = countHeader(raw.rawHeaders, 'host');
  const isAddressed = hosts === 1 || (hosts === 0 && raw.httpVersion === '1.0');
  if (!isAddressed || !hostText.test(raw.headers.host ?? '')) return ambiguous();
  if (raw.rawHeaders.length > 2 * maxHeaderFields) return new Problem('headers_too_large');
  return isFramedPlainly(raw) ? undefined : ambiguous();
}

/**
 * Whoever has reset the connection by now has no address any more, and hears no answer. Whose it was when it was asked for
 * is known for good.
 */
export function hasHungUp({
  remoteAddress,
  localAddress,
  destroyed,
}: Pick<Socket, 'remoteAddress' | 'localAddress' | 'destroyed'>): boolean {
  // Where neither end has one, it is no network that they came by.
  return remoteAddress === undefined && (destroyed || localAddress !== undefined);
}

/**
 * Whether a target is a path, or an address with its scheme, as proxies send it, or the server as a whole, which is for
 * OPTIONS alone (RFC 9112 §3.2). The parser lets anything begin with an asterisk, which the router would take for a path.
 */
function isTarget({ url, method }: Pick<FastifyRequest, 'url' | 'method'>): boolean {
  return url.startsWith('/') || /^[a-z]/i.test(url) || (url === '*' && method === 'OPTIONS');
}

/** Where one has seen another request than somebody on the way, what follows on the connection is not to be trusted, either (RFC 9112 §6.3). */
function ambiguous(): Problem {
  return new Problem('malformed_request', { headers: { connection: 'close' } });
}

/**
 * Whether nobody on the way can see another end of this request than we do. Node reads requests of versions that have
 * no headers, or frames, and passes over codings that it does not undo (RFC 9112 §2.3, §6.1).
 */
function isFramedPlainly({ httpVersion, headers }: FastifyRequest['raw']): boolean {
  const coding = headers['transfer-encoding'];
  return httpVersion === '1.1' ? coding === undefined || coding.toLowerCase() === 'chunked' : httpVersion === '1.0' && coding === undefined;
}
