import { createHmac } from 'node:crypto';
import ipaddr from 'ipaddr.js';
import { deriveKey } from '../tokens/keys.ts';

/** A digest of where a client is and what it says it is, to recognise it by; tells nobody else anything. */
export type ClientDigest = (ip: string, userAgent: string | undefined) => string;

const digestBytes = 12;
/** Digests of clients that come again and again are not computed again and again. Some 2 MB when full. */
const remembered = 8192;
const ipv6NetworkBytes = 8;

/** @param secret the same for all instances, so that a client is recognised by each of them */
export function createClientDigest(secret: string): ClientDigest {
  const key = deriveKey(secret, 'client digest');
  const digests = new Map<string, string>();

  return function clientDigest(ip, userAgent = '') {
    const client = `${ip} ${userAgent}`;
    const known = digests.get(client);
    if (known !== undefined) return known;
    const mac = createHmac('sha256', key)
      .update(`${networkOf(ip)} ${userAgent}`)
      .digest();
    const digest = mac.subarray(0, digestBytes).toString('base64url');
    if (digests.size >= remembered) digests.clear();
    digests.set(client, digest);
    return digest;
  };
}

/** The network that one client is alone in: an IPv4 address, or the /64 of an IPv6 address, of which it has them all. */
export function networkOf(ip: string): string {
  if (!ipaddr.isValid(ip)) return ip;
  const address = ipaddr.process(ip);
  const bytes = address.toByteArray();
  return address.kind() === 'ipv4' ? address.toString() : Buffer.from(bytes.slice(0, ipv6NetworkBytes)).toString('hex');
}
