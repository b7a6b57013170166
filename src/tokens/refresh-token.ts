import { createHmac, timingSafeEqual } from 'node:crypto';
import { stringify as formatUuid, parse as parseUuid } from 'uuid';
import { deriveKey } from './keys.ts';
import { isCanonical } from './spelling.ts';

/** Which token of which session: the counter tells how often the session had been refreshed. */
export interface RefreshTokenContent {
  readonly sessionId: string;
  readonly counter: number;
}

/**
 * Refresh tokens are derived, not stored: session id, counter and a MAC. So the database holds nothing that could be
 * used, and whoever refreshes in parallel with the same token gets the same successor.
 */
export interface RefreshTokens {
  mint(content: RefreshTokenContent): string;
  /** What a genuine token says; undefined for everything else. Whether it is the newest is for the session to know. */
  read(token: string): RefreshTokenContent | undefined;
}

const idBytes = 16;
const counterBytes = 4;
const contentBytes = idBytes + counterBytes;
const macBytes = 32;
const tokenLength = Math.ceil(((contentBytes + macBytes) * 4) / 3);

/** @param secrets the first signs, all verify */
export function createRefreshTokens(secrets: readonly string[]): RefreshTokens {
  const keys = secrets.map((secret) => deriveKey(secret, 'refresh token'));
  const mac = (content: Buffer, key: Buffer) => createHmac('sha256', key).update(content).digest();

  return {
    mint({ sessionId, counter }) {
      const [key] = keys;
      if (key === undefined) throw new TypeError('at least one secret is needed');
      const content = Buffer.alloc(contentBytes);
      content.set(parseUuid(sessionId));
      content.writeUInt32BE(counter, idBytes);
      return Buffer.concat([content, mac(content, key)]).toString('base64url');
    },

    read(token) {
      if (token.length !== tokenLength || !isCanonical(token)) return undefined;
      const bytes = Buffer.from(token, 'base64url');
      const content = bytes.subarray(0, contentBytes);
      const signature = bytes.subarray(contentBytes);
      if (signature.length !== macBytes || !keys.some((key) => timingSafeEqual(signature, mac(content, key)))) return undefined;
      return { sessionId: formatUuid(content.subarray(0, idBytes)), counter: content.readUInt32BE(idBytes) };
    },
  };
}
