import { createHmac, timingSafeEqual } from 'node:crypto';
import type { FastifyJWTOptions, JWT } from '@fastify/jwt';
import { type Static, Type } from '@sinclair/typebox';
import { TypeCompiler } from '@sinclair/typebox/compiler';
import { type Clock, epochSeconds } from '../clock.ts';
import type { Purpose } from '../config.ts';
import { Problem } from '../problems/problem.ts';
import { deriveKey } from './keys.ts';
import { hasCanonicalSignature } from './spelling.ts';

/** Signing keys of one purpose: the first signs, all verify. */
export type PurposeKeys = readonly [string, ...string[]];

const Claims = Type.Object(
  {
    sub: Type.String({ pattern: '^[0-9a-f]{8}-(?:[0-9a-f]{4}-){3}[0-9a-f]{12}$' }),
    aud: Type.String(),
    iss: Type.String(),
    /** What the token was signed over: a digest of the state that using it changes. */
    state: Type.String(),
    iat: Type.Integer({ minimum: 0 }),
    exp: Type.Integer({ minimum: 0 }),
  },
  { additionalProperties: false },
);
const claims = TypeCompiler.Compile(Claims);
export type ActionClaims = Static<typeof Claims>;

/** Mints and reads the tokens of one purpose, which has a key, a type and an audience of its own. Nothing of them is stored. */
export interface ActionTokens {
  /** Signs a token for an account, over the state that the action changes. */
  mint(subject: string, state: string): string;
  /**
   * Reads a token; does not know whether its state is still that of the account: ask {@link ActionTokens.isSignedOver}.
   *
   * @throws Problem `invalid_token` when it is forged, malformed or for another purpose
   * @throws Problem `expired_token` when `clock.now()` has reached its `exp`, or a signing key was revoked since it was signed
   */
  read(token: string): ActionClaims;
  /**
   * Reads a token that may be over: good for nothing but sending another one.
   *
   * @throws Problem `invalid_token` as {@link ActionTokens.read} does
   */
  peek(token: string): ActionClaims;
  /** Tells whether a token was signed over this state. */
  isSignedOver(token: ActionClaims, state: string): boolean;
}

interface ActionTokenOptions {
  readonly purpose: Purpose;
  readonly keys: PurposeKeys;
  readonly issuer: string;
  readonly ttlSeconds: number;
  readonly clock: Clock;
  /** Until when tokens were signed that are not to be believed any longer; null when there are none. */
  readonly voidUntil: () => Date | null;
}

/** The keys of a purpose, in the form that the JWT plugin takes for HS256. */
export function purposeKeys(secrets: readonly string[], purpose: Purpose): PurposeKeys {
  const [first, ...rest] = secrets.map((secret) => deriveKey(secret, `action token: ${purpose}`).toString('base64url'));
  if (first === undefined) throw new TypeError('at least one secret is needed');
  return [first, ...rest];
}

/** What {@link JWT} must be set up with for a purpose; times are checked here, against the injected clock. */
export function actionTokenJwtOptions({
  purpose,
  keys,
  issuer,
}: Pick<ActionTokenOptions, 'purpose' | 'keys' | 'issuer'>): FastifyJWTOptions {
  const typ = `${purpose}+jwt`;
  return {
    namespace: purpose,
    secret: keys[0],
    sign: { algorithm: 'HS256', header: { alg: 'HS256', typ }, iss: issuer, aud: purpose },
    verify: {
      algorithms: ['HS256'],
      checkTyp: typ,
      allowedIss: issuer,
      allowedAud: purpose,
      requiredClaims: ['sub', 'state', 'iat', 'exp', 'iss', 'aud'],
      ignoreExpiration: true,
      cache: false,
    },
  };
}

export function createActionTokens(jwt: JWT, { keys, ttlSeconds, clock, voidUntil }: ActionTokenOptions): ActionTokens {
  const digest = (state: string, key: string) => createHmac('sha256', key).update(state).digest();

  function verified(token: string): unknown {
    if (!hasCanonicalSignature(token)) throw new Problem('invalid_token', { cause: 'the signature is spelled in another way' });
    let failure: unknown;
    for (const key of keys) {
      try {
        return jwt.verify(token, { key });
      } catch (cause) {
        failure = cause;
      }
    }
    throw new Problem('invalid_token', { cause: failure });
  }

  function peek(token: string): ActionClaims {
    const payload = verified(token);
    if (!claims.Check(payload)) throw new Problem('invalid_token', { cause: 'the claims are not of the required form' });
    return payload;
  }

  return {
    peek,

    mint(subject, state) {
      // Not in the second of a revocation, in which it would be taken for one of before.
      const iat = Math.max(epochSeconds(clock.now()), epochSeconds(voidUntil() ?? new Date(0)) + 1);
      return jwt.sign({ sub: subject, state: digest(state, keys[0]).toString('base64url'), iat, exp: iat + ttlSeconds });
    },

    read(token) {
      const payload = peek(token);
      if (clock.now().getTime() >= payload.exp * 1000) throw new Problem('expired_token');
      // To the second: what was signed in that same one may be from before.
      if (payload.iat * 1000 <= (voidUntil()?.getTime() ?? Number.NEGATIVE_INFINITY)) throw new Problem('expired_token');
      return payload;
    },

    isSignedOver(token, state) {
      const actual = Buffer.from(token.state, 'base64url');
      return keys
        .map((key) => digest(state, key))
        .some((expected) => actual.length === expected.length && timingSafeEqual(actual, expected));
    },
  };
}
