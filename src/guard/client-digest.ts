import { createHmac } from 'node:crypto';
import { networkOf } from '../http/network.ts';
import { deriveKey } from '../tokens/keys.ts';

/** A digest of where a client is and what it says it is, to recognise it by; tells nobody else anything. */
export type ClientDigest = (ip: string, userAgent: string | undefined) => string;

const digestBytes = 12;
/** Digests of clients that come again and again are not computed again and again. A few MB when full. */
const remembered = 8192;
/** No browser says more of itself; whoever does may wait for the digest. */
const rememberedLength = 300;

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
    if (client.length <= rememberedLength) digests.set(client, digest);
    return digest;
  };
}
