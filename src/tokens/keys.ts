import { createCipheriv, createDecipheriv, hkdfSync, randomBytes } from 'node:crypto';

const cipher = 'aes-256-gcm';
const ivBytes = 12;
const tagBytes = 16;

/**
 * Derives the key for one purpose from a secret (HKDF-SHA-256, RFC 5869), so that what is made with one of them
 * says nothing about, and is worth nothing with, any other.
 *
 * @returns 32 bytes
 */
export function deriveKey(secret: string, purpose: string): Buffer {
  return Buffer.from(hkdfSync('sha256', secret, 'latchkey', purpose, 32));
}

/** Encrypts with the first of several keys (AES-256-GCM): iv, tag, ciphertext. `context` is bound to it, but not stored. */
export function seal(keys: readonly Buffer[], context: string, plaintext: string): Buffer {
  const [key] = keys;
  if (key === undefined) throw new TypeError('no key to seal with');
  const iv = randomBytes(ivBytes);
  const encryption = createCipheriv(cipher, key, iv).setAAD(Buffer.from(context));
  const ciphertext = Buffer.concat([encryption.update(plaintext, 'utf8'), encryption.final()]);
  return Buffer.concat([iv, encryption.getAuthTag(), ciphertext]);
}

/** Decrypts what any of the keys has sealed in this context; undefined when none did. */
export function unseal(keys: readonly Buffer[], context: string, sealed: Buffer): string | undefined {
  const iv = sealed.subarray(0, ivBytes);
  const tag = sealed.subarray(ivBytes, ivBytes + tagBytes);
  const ciphertext = sealed.subarray(ivBytes + tagBytes);
  for (const key of keys) {
    try {
      const decryption = createDecipheriv(cipher, key, iv, { authTagLength: tagBytes }).setAAD(Buffer.from(context)).setAuthTag(tag);
      return decryption.update(ciphertext, undefined, 'utf8') + decryption.final('utf8');
    } catch {
      // Another key's; an authentication failure is the only way to know.
    }
  }
  return undefined;
}
