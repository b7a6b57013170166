import { createPublicKey } from 'node:crypto';
import type { Clock } from '../clock.ts';
import type { Queryable } from '../db/database.ts';
import { Problem } from '../problems/problem.ts';
import {
  deleteSigningKeys,
  findLastRevocation,
  type Replacement,
  readSigningKeys,
  renewSigningKeys,
  type SigningKey,
} from './signing-keys.ts';

/** A public key as it is published (RFC 7517). */
export interface PublishedKey {
  readonly kty: 'EC';
  readonly crv: 'P-256';
  readonly x: string;
  readonly y: string;
  readonly kid: string;
  readonly use: 'sig';
  readonly alg: 'ES256';
}

/** The signing keys as this instance knows them: which one signs, and which ones verify. */
export interface KeyRing {
  /**
   * The key that signs now.
   *
   * @throws Problem `service_unavailable` when all have gone, and there was no making another
   */
  current(): SigningKey;
  /** The PEM of a key that is published; undefined for a `kid` that is not ours, or no longer. */
  publicKey(kid: string): string | undefined;
  published(): PublishedKey[];
  /** When a key was revoked last: whatever else was signed until then is not to be believed either. Null when none ever was. */
  lastRevocation(): Date | null;
  /** Looks at the database again, rotates when it is time, and lets go of keys of which every token is dead. */
  refresh(): Promise<void>;
  /** Tells when a key has gone, so that what was verified with it is not believed any longer. */
  onChange(listener: () => void): void;
}

interface KeyRingOptions {
  readonly db: Queryable;
  readonly secrets: readonly string[];
  readonly clock: Clock;
  /** 0 rotates by hand only. */
  readonly rotationDays: number;
  readonly accessTtlSeconds: number;
}

/** For tokens of an instance whose clock is behind ours. */
const marginSeconds = 60;
const dayMs = 24 * 3600 * 1000;

/** Opens the key ring, and makes the first key if there is none. */
export async function openKeyRing({ db, secrets, clock, rotationDays, accessTtlSeconds }: KeyRingOptions): Promise<KeyRing> {
  const listeners: (() => void)[] = [];
  let keys: readonly SigningKey[] = [];
  let lastRevocation: Date | null = null;
  let lastLook: Promise<void> = Promise.resolve();

  function decide(candidates: readonly SigningKey[]): Replacement {
    const newest = candidates.at(-1);
    if (newest === undefined) return 'at once';
    const age = clock.now().getTime() - newest.createdAt.getTime();
    return rotationDays > 0 && age >= rotationDays * dayMs ? 'after publication' : 'none';
  }

  /** A key is over when its successor has been signing for longer than any token lives. */
  function isSignedOver(index: number): boolean {
    const successor = keys[index + 1];
    return successor !== undefined && clock.now().getTime() > successor.activatesAt.getTime() + (accessTtlSeconds + marginSeconds) * 1000;
  }

  /** One look after the other: what a slow one has read must not take the place of what a later one knows. */
  function refresh(): Promise<void> {
    lastLook = lastLook.then(look, look);
    return lastLook;
  }

  async function look(): Promise<void> {
    const before = keys.map(({ kid }) => kid);
    const live = await readSigningKeys(db, secrets);
    lastRevocation = await findLastRevocation(db);
    keys = live;
    try {
      await renew();
    } finally {
      const isGone = (kid: string) => !keys.some((key) => key.kid === kid);
      if (before.some(isGone)) for (const listener of listeners) listener();
    }
  }

  async function renew(): Promise<void> {
    if (decide(keys) !== 'none') keys = await renewSigningKeys(db, { secrets, clock, decide });
    const over = keys.filter((_, index) => isSignedOver(index));
    await deleteSigningKeys(
      db,
      over.map(({ kid }) => kid),
    );
    keys = keys.filter((key) => !over.includes(key));
  }

  await refresh();
  return {
    current() {
      const now = clock.now();
      // All of them may still lie ahead when clocks differ; then the first to come signs.
      const key = keys.findLast(({ activatesAt }) => activatesAt <= now) ?? keys[0];
      if (key === undefined) throw new Problem('service_unavailable', { retryAfterSeconds: 1 });
      return key;
    },
    publicKey: (kid) => keys.find((key) => key.kid === kid)?.publicKey,
    published: () => keys.map(present),
    lastRevocation: () => lastRevocation,
    refresh,
    onChange: (listener) => void listeners.push(listener),
  };
}

function present({ kid, publicKey }: SigningKey): PublishedKey {
  const { x = '', y = '' } = createPublicKey(publicKey).export({ format: 'jwk' });
  return { kty: 'EC', crv: 'P-256', x, y, kid, use: 'sig', alg: 'ES256' };
}
