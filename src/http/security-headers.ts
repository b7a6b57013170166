/** Allows nothing: for answers that are data. Pages bring a policy of their own. */
const dataPolicy = "default-src 'none'; frame-ancestors 'none'; base-uri 'none'; form-action 'none'";

/** Two years, the preload lists' recommendation. */
const hsts = 'max-age=63072000; includeSubDomains';

/**
 * The headers that every answer carries, whoever writes it: handlers, the router or the HTTP parser.
 *
 * @param publicUrl decides about HSTS, which is only meaningful (and only honoured) on https (RFC 6797 §7.2)
 */
export function securityHeaders(publicUrl: string): Readonly<Record<string, string>> {
  return Object.freeze({
    'cache-control': 'no-store',
    'content-security-policy': dataPolicy,
    'cross-origin-resource-policy': 'same-origin',
    'referrer-policy': 'no-referrer',
    'x-content-type-options': 'nosniff',
    'x-frame-options': 'DENY',
    ...(publicUrl.startsWith('https:') && { 'strict-transport-security': hsts }),
  });
}
