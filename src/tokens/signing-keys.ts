import { createHash, createPublicKey, generateKeyPairSync } from 'node:crypto';
import { asc, eq, max, sql } from 'drizzle-orm';
import type { Clock } from '../clock.ts';
import type { Queryable } from '../db/database.ts';
import { signingKeys } from '../db/schema.ts';
import { databaseTime } from '../db/time.ts';
import { deriveKey, seal, unseal } from './keys.ts';

/** A P-256 key pair in PEM. Never a KeyObject: the JWT library would take it for something else. */
export interface SigningKey {
  readonly kid: string;
  readonly publicKey: string;
  readonly privateKey: string;
  readonly createdAt: Date;
  /** From when on it signs. */
  readonly activatesAt: Date;
}

/**
 * How long a key is published before it signs: longer than anybody caches the published keys, and than any instance
 * goes without looking for new ones, so that nobody meets a token of a key that they do not know.
 */
export const publicationLeadSeconds = 600;

/** Thrown when none of the secrets opens a key, which means that AUTH_SECRET was changed without keeping the old one. */
export class SealedKeysError extends Error {
  override readonly name = 'SealedKeysError';

  constructor() {
    super('The signing keys in the database were sealed with another AUTH_SECRET. Append the old one: AUTH_SECRET=new,old');
  }
}

/** Held for the length of a transaction while keys are made or ended. */
const signingKeyLock = 7_146_220_262;

type SigningKeyRow = typeof signingKeys.$inferSelect;

/**
 * Reads the keys that are not revoked, oldest first, and opens their private halves.
 *
 * They are in the database sealed with a key derived from the secrets: a dump of it signs nothing. One that an older
 * secret had sealed is sealed anew with the first, so that the older one can go.
 *
 * @throws SealedKeysError when none of the secrets opens one
 */
export async function readSigningKeys(db: Queryable, secrets: readonly string[]): Promise<SigningKey[]> {
  const sealingKeys = secrets.map((secret) => deriveKey(secret, 'signing keys'));
  const rows = await db.select().from(signingKeys).orderBy(asc(signingKeys.activatesAt), asc(signingKeys.kid));
  const live = rows.filter(({ revokedAt }) => revokedAt === null);
  return Promise.all(live.map((row) => open(db, row, sealingKeys)));
}

/** When a key was revoked last; null when none ever was. */
export async function findLastRevocation(db: Queryable): Promise<Date | null> {
  const [row] = await db.select({ at: max(signingKeys.revokedAt) }).from(signingKeys);
  return row?.at ?? null;
}

async function open(db: Queryable, row: SigningKeyRow, sealingKeys: readonly Buffer[]): Promise<SigningKey> {
  const { kid, publicKey, sealedPrivateKey, createdAt, activatesAt } = row;
  const byFirst = unseal(sealingKeys.slice(0, 1), kid, sealedPrivateKey);
  const privateKey = byFirst ?? unseal(sealingKeys, kid, sealedPrivateKey);
  if (privateKey === undefined) throw new SealedKeysError();
  if (byFirst === undefined) {
    await db
      .update(signingKeys)
      .set({ sealedPrivateKey: seal(sealingKeys, kid, privateKey) })
      .where(eq(signingKeys.kid, kid));
  }
  return { kid, publicKey, privateKey, createdAt, activatesAt };
}

/** Whether, and from when on, a new key is wanted; none when what there is will do. */
export type Replacement = 'at once' | 'after publication' | 'none';

interface Renewal {
  readonly secrets: readonly string[];
  readonly clock: Clock;
  /** Decides from the keys that are there, once nobody else can change them. */
  readonly decide: (keys: readonly SigningKey[]) => Replacement;
  /** Keys that are to be worth nothing from now on. */
  readonly revoke?: (key: SigningKey) => boolean;
}

/**
 * Revokes and makes keys in one transaction. However many instances come at once, each decides over what the one
 * before it has left.
 *
 * @returns the keys as they are now
 */
export async function renewSigningKeys(db: Queryable, { secrets, clock, decide, revoke = () => false }: Renewal): Promise<SigningKey[]> {
  return db.transaction(async (tx) => {
    await tx.execute(sql`select pg_advisory_xact_lock(${signingKeyLock})`);
    const keys = await readSigningKeys(tx, secrets);
    const now = clock.now();
    // By the database's time, since mailed links of before are void by it, too, whoever has signed them.
    const revokedAt = databaseTime(clock);
    for (const { kid } of keys.filter(revoke)) await tx.update(signingKeys).set({ revokedAt }).where(eq(signingKeys.kid, kid));
    const replacement = decide(keys.filter((key) => !revoke(key)));
    if (replacement !== 'none') {
      const { privateKey, ...key } = generateSigningKey();
      const sealingKeys = secrets.map((secret) => deriveKey(secret, 'signing keys'));
      const leadMs = replacement === 'at once' ? 0 : publicationLeadSeconds * 1000;
      const activatesAt = new Date(now.getTime() + leadMs);
      await tx
        .insert(signingKeys)
        .values({ ...key, sealedPrivateKey: seal(sealingKeys, key.kid, privateKey), createdAt: now, activatesAt });
    }
    return readSigningKeys(tx, secrets);
  });
}

/** Deletes keys of which every token is dead. */
export async function deleteSigningKeys(db: Queryable, kids: readonly string[]): Promise<void> {
  for (const kid of kids) await db.delete(signingKeys).where(eq(signingKeys.kid, kid));
}

function generateSigningKey(): Pick<SigningKey, 'kid' | 'publicKey' | 'privateKey'> {
  const pair = generateKeyPairSync('ec', {
    namedCurve: 'P-256',
    publicKeyEncoding: { type: 'spki', format: 'pem' },
    privateKeyEncoding: { type: 'pkcs8', format: 'pem' },
  });
  return { kid: thumbprint(pair.publicKey), ...pair };
}

/** RFC 7638: the digest of the public members in lexicographic order. */
function thumbprint(publicKey: string): string {
  const { crv, kty, x, y } = createPublicKey(publicKey).export({ format: 'jwk' });
  return createHash('sha256').update(JSON.stringify({ crv, kty, x, y })).digest('base64url');
}
