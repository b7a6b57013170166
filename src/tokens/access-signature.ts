import { createSigner, createVerifier } from 'fast-jwt';
import type { KeyRing } from './key-ring.ts';
import { hasCanonicalSignature } from './spelling.ts';

/** Signs and verifies in the form of access tokens (RFC 9068); what they say, and whether it is their time, is for others. */
export interface AccessSignatures {
  /** A token with these claims and those that all have, by the key that signs now. */
  sign(payload: object): string;
  /** What a token says that one of our keys has signed, for us; undefined for everything else. */
  payloadOf(token: string): unknown;
}

interface AccessSignatureOptions {
  readonly keys: KeyRing;
  readonly issuer: string;
  readonly requiredClaims: string[];
}

type Sign = (payload: object) => string;
type Verify = (token: string) => unknown;

const algorithm = 'ES256' as const;
const typ = 'at+jwt';
/** RFC 7515 §7.1: three parts in base64url. Node's decoder, which reads the header below, passes over whatever else there is. */
const compactForm = /^[\w-]+\.[\w-]+\.[\w-]+$/;
/** Of a signature by P-256 in base64url: RFC 7518 §3.4. */
const signatureLength = 86;

/** The end of a token that one of our keys has signed. */
export function signatureOf(token: string): string {
  return token.slice(-signatureLength);
}

/**
 * Creates what signs and verifies with the keys of a ring.
 *
 * With the engine of @fastify/jwt, since the plugin itself reads a key anew for each token when there can be another one:
 * for a private key that takes ten times as long as to sign.
 */
export function createAccessSignatures({ keys, issuer, requiredClaims }: AccessSignatureOptions): AccessSignatures {
  const signers = new Map<string, Sign>();
  const verifiers = new Map<string, Verify>();
  keys.onChange(() => {
    signers.clear();
    verifiers.clear();
  });

  function signer(): Sign {
    const { kid, privateKey: key } = keys.current();
    return kept(signers, kid, () => createSigner({ key, algorithm, iss: issuer, aud: issuer, header: { alg: algorithm, typ, kid } }));
  }

  function verifier(kid: string): Verify | undefined {
    const key = keys.publicKey(kid);
    if (key === undefined) return undefined;
    const expected = { algorithms: [algorithm], checkTyp: typ, allowedIss: issuer, allowedAud: issuer, requiredClaims };
    return kept(verifiers, kid, () => createVerifier({ key, ...expected, ignoreExpiration: true, cache: false }));
  }

  return {
    sign: (payload) => signer()(payload),

    payloadOf(token) {
      const verify = verifier(keyId(token));
      if (verify === undefined || !hasCanonicalSignature(token)) return undefined;
      try {
        return verify(token);
      } catch {
        return undefined;
      }
    },
  };
}

function kept<Value>(values: Map<string, Value>, kid: string, create: () => Value): Value {
  const known = values.get(kid);
  if (known !== undefined) return known;
  const created = create();
  values.set(kid, created);
  return created;
}

/** The `kid` of a token's header, read before anything is verified: it only chooses among our own keys. Empty for what has not the form of a token. */
export function keyId(token: string): string {
  return compactForm.test(token) ? headerKeyId(token) : '';
}

/** {@link keyId}, of whatever begins with such a header. */
export function headerKeyId(token: string): string {
  try {
    const [header = ''] = token.split('.', 1);
    const decoded: unknown = JSON.parse(Buffer.from(header, 'base64url').toString('utf8'));
    const { kid } = Object(decoded) as { kid?: unknown };
    return typeof kid === 'string' ? kid : '';
  } catch {
    return '';
  }
}
