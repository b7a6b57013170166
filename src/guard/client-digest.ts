import { createHmac } from 'node:crypto';
import { networkOf } from '../http/network.ts';
import { deriveKey } from '../tokens/keys.ts';

/** Recognises a client by a digest of where it is and what it says it is, which tells nobody else anything. */
export interface ClientDigests {
  /** What is kept of a client. */
  of(ip: string, userAgent?: string): string;
  /** What may have been kept of it: one for each secret, since the first may have been another one then. */
  all(ip: string, userAgent?: string): readonly string[];
  /** Whether this was kept of such a client. */
  match(kept: string, ip: string, userAgent?: string): boolean;
}

type ClientDigest = (ip: string, userAgent?: string) => string;

const digestBytes = 12;
/** Digests of clients that come again and again are not computed again and again. A few MB when full. */
const remembered = 8192;
/** No browser says more of itself; whoever does may wait for the digest. */
const rememberedLength = 300;

/** @param secrets the same for all instances, so that a client is recognised by each of them */
export function createClientDigests(secrets: readonly string[]): ClientDigests {
  const [newest, ...older] = secrets.map(createClientDigest);
  if (newest === undefined) throw new TypeError('at least one secret is needed');
  return {
    of: newest,
    all: (ip, userAgent) => [newest, ...older].map((digest) => digest(ip, userAgent)),
    match: (kept, ip, userAgent) => newest(ip, userAgent) === kept || older.some((digest) => digest(ip, userAgent) === kept),
  };
}

function createClientDigest(secret: string): ClientDigest {
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
