/**
 * Tells whether a text is the only spelling of its bytes. Decoders take others for the same: characters that they skip,
 * and a last one whose lowest bits mean nothing (RFC 4648 §3.5).
 */
export function isCanonical(base64url: string): boolean {
  return Buffer.from(base64url, 'base64url').toString('base64url') === base64url;
}

/** {@link isCanonical}, of the signature of a compact JWS: it signs the spelling of the rest, but not its own. */
export function hasCanonicalSignature(token: string): boolean {
  return isCanonical(token.slice(token.lastIndexOf('.') + 1));
}
