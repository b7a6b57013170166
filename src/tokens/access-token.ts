import { type Static, Type } from '@sinclair/typebox';
import { TypeCompiler } from '@sinclair/typebox/compiler';
import { v4 as randomUuid } from 'uuid';
import { type Clock, epochSeconds } from '../clock.ts';
import { maxAccessTtlSeconds } from '../config.ts';
import { createAccessSignatures, headerKeyId, keyId, signatureOf } from './access-signature.ts';
import type { KeyRing } from './key-ring.ts';

const uuidPattern = '^[0-9a-f]{8}-(?:[0-9a-f]{4}-){3}[0-9a-f]{12}$';

const Claims = Type.Object(
  {
    iss: Type.String(),
    aud: Type.String(),
    sub: Type.String({ pattern: uuidPattern }),
    sid: Type.String({ pattern: uuidPattern }),
    /** Random, and behind a dot the digest of the client that the token was given to. */
    jti: Type.String({ minLength: 1 }),
    iat: Type.Integer({ minimum: 0 }),
    exp: Type.Integer({ minimum: 0 }),
    username: Type.String(),
    email: Type.String(),
    role: Type.String(),
    confirmed: Type.Boolean(),
  },
  { additionalProperties: false },
);
const claims = TypeCompiler.Compile(Claims);
export type AccessClaims = Static<typeof Claims>;

/** What a token says about its user and session; the rest is added when it is signed. */
export type AccessSubject = Pick<AccessClaims, 'sub' | 'sid' | 'username' | 'email' | 'role' | 'confirmed'>;

/** Mints and verifies access tokens (RFC 9068). Whether the session still lives is not theirs to know. */
export interface AccessTokens {
  readonly ttlSeconds: number;
  /**
   * @param client a digest of the client that it is given to, without a dot
   * @param notAfter when its session ends in any case: it does not outlive that
   */
  mint(subject: AccessSubject, client: string, notAfter?: Date): string;
  /** The claims of a genuine token within its time; undefined for everything else, whatever is wrong with it. */
  verify(token: string): AccessClaims | undefined;
  /** Whether a token, or its header alone, names one of our keys, whatever is wrong with the rest. */
  isByOurKey(token: string): boolean;
  /** Looks for the key of a token that names one which this instance has not seen. Answers whether that is worth another try. */
  learnKey(token: string): Promise<boolean>;
}

/** The digest of the client that a token was given to. */
export function clientOf({ jti }: AccessClaims): string {
  return jti.slice(jti.indexOf('.') + 1);
}

interface Remembered {
  readonly token: string;
  readonly payload: AccessClaims;
}

interface AccessTokenOptions {
  readonly keys: KeyRing;
  readonly issuer: string;
  readonly ttlSeconds: number;
  readonly clock: Clock;
}

/** How far ahead of ours another instance's clock may be. */
const leewaySeconds = 5;
/** A signature is checked once: that takes a hundred times as long as finding it again. Some 20 MB when full. */
const rememberedTokens = 16_384;
/** How often an unknown key makes this instance look at the database: a forger must not be able to do more. */
const learnEveryMs = 1000;

export function createAccessTokens({ keys, issuer, ttlSeconds, clock }: AccessTokenOptions): AccessTokens {
  const signatures = createAccessSignatures({ keys, issuer, requiredClaims: Object.keys(Claims.properties) });
  // By their signatures: to look for a whole token takes twice as long, most of it for the first four fifths.
  const remembered = new Map<string, Remembered>();
  let learntAt = Number.NEGATIVE_INFINITY;
  let learning: Promise<void> | undefined;
  keys.onChange(() => remembered.clear());

  function remember(token: string, payload: AccessClaims): void {
    if (remembered.size >= rememberedTokens) remembered.delete(remembered.keys().next().value ?? '');
    // A copy, since a part of a header keeps all of it in memory; genuine ones are ASCII.
    const own = Buffer.from(token, 'latin1').toString('latin1');
    remembered.set(signatureOf(own), { token: own, payload });
  }

  function recall(token: string): AccessClaims | undefined {
    const known = remembered.get(signatureOf(token));
    return known?.token === token ? known.payload : undefined;
  }

  /** Everything about a token that does not change with time. */
  function genuine(token: string): AccessClaims | undefined {
    const payload = signatures.payloadOf(token);
    if (!claims.Check(payload)) return undefined;
    remember(token, payload);
    return payload;
  }

  return {
    ttlSeconds,

    mint(subject, client, notAfter) {
      const iat = epochSeconds(clock.now());
      const exp = Math.min(iat + ttlSeconds, notAfter === undefined ? Number.POSITIVE_INFINITY : epochSeconds(notAfter));
      return signatures.sign({ ...subject, jti: `${randomUuid()}.${client}`, iat, exp });
    },

    verify(token) {
      const payload = recall(token) ?? genuine(token);
      return payload !== undefined && isCurrent(payload, ttlSeconds, clock.now()) ? payload : undefined;
    },

    isByOurKey: (token) => keys.publicKey(headerKeyId(token)) !== undefined,

    async learnKey(token) {
      const kid = keyId(token);
      if (kid === '' || keys.publicKey(kid) !== undefined) return false;
      if (learning === undefined) {
        const now = performance.now();
        if (now - learntAt < learnEveryMs) return false;
        learntAt = now;
        learning = keys.refresh().finally(() => {
          learning = undefined;
        });
      }
      // Whoever comes while somebody is looking gets the same answer: a new key must not cost them a 401.
      await learning;
      return keys.publicKey(kid) !== undefined;
    },
  };
}

/**
 * No token lives longer than those that are minted now, whatever it says itself: of a session that was ended, it is
 * known for no longer than that. One of a longer time, from before or of another instance, ends sooner; a refresh mends that.
 */
function isCurrent({ iat, exp }: AccessClaims, ttlSeconds: number, now: Date): boolean {
  const isOver = now.getTime() >= Math.min(exp, iat + ttlSeconds) * 1000;
  return !isOver && iat <= epochSeconds(now) + leewaySeconds && exp <= iat + maxAccessTtlSeconds;
}
