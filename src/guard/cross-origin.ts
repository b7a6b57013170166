import type { FastifyRequest } from 'fastify';
import { Problem } from '../problems/problem.ts';

/** Refuses what another site makes a browser send with the user's cookies (CSRF; ASVS 3.5.1). */
export type CrossOriginCheck = (request: Pick<FastifyRequest, 'method' | 'headers'>, trust?: FormTrust) => void;

export interface FormTrust {
  /**
   * Whether the request brings a proof of its own that it comes from a page of ours: then it need not be said by the
   * browser, too, which may know no Fetch Metadata, and says `Origin: null` for a page without referrers.
   */
  readonly hasProof?: boolean;
}

const safeMethods: ReadonlySet<string> = new Set(['GET', 'HEAD', 'OPTIONS']);

/** A handshake is a GET, but opens a way to send anything, which browsers let any page do (RFC 6455 §10.2). */
function changesNothing({ method, headers }: Pick<FastifyRequest, 'method' | 'headers'>): boolean {
  return safeMethods.has(method) && headers.upgrade?.toLowerCase() !== 'websocket';
}

/**
 * @param allowed origins of client applications that may send credentials, besides our own
 * @returns a check that lets through what changes nothing, what the browser itself says comes from this site or from the user
 *   (Fetch Metadata), and what comes from an origin that is ours or allowed; all else, such as a request that says
 *   nothing of either, is refused as `cross_origin_rejected`
 */
export function createCrossOriginCheck(publicUrl: string, allowed: readonly string[]): CrossOriginCheck {
  const origins = new Set([new URL(publicUrl).origin, ...allowed]);
  return function checkOrigin(request, { hasProof = false } = {}) {
    const { headers } = request;
    if (changesNothing(request)) return;
    const site = headers['sec-fetch-site'];
    const saysNothing = site === undefined && (headers.origin === undefined || headers.origin === 'null');
    if (saysNothing && hasProof) return;
    if (site === 'same-origin' || site === 'none') return;
    if (headers.origin !== undefined && origins.has(headers.origin)) return;
    throw new Problem('cross_origin_rejected');
  };
}
