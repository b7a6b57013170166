import { createHmac, createPrivateKey, type KeyObject, randomUUID, sign } from 'node:crypto';
import { decodeJwt, importPKCS8, type JWTPayload, SignJWT } from 'jose';
import type { Test } from 'tap';
import { loadConfig } from '../../src/config.ts';
import { openDataDirectory } from '../../src/data-directory.ts';
import { openDatabase } from '../../src/db/open.ts';
import { openKeyRing } from '../../src/tokens/key-ring.ts';
import type { SigningKey } from '../../src/tokens/signing-keys.ts';
import { ManualClock } from './clock.ts';
import { createDatabase } from './database.ts';
import { listening } from './listening.ts';
import { startMailServer } from './mail-server.ts';
import { believedPerson } from './person.ts';
import { type Service, startInstance } from './service.ts';

export const testSecret = 'Zk3vQ8rT1xYb6LmNc0PdWs5HuJf9Ga2E-forger';

/** A service together with the key that it signs access tokens with, for tests that sign what it never would. */
export async function startServiceWithKey(
  t: Test,
  overrides: Readonly<Record<string, string>> = {},
): Promise<Service & { key: SigningKey }> {
  const [database, mailServer] = await Promise.all([createDatabase(t), startMailServer(t)]);
  const cheapHashing = { ARGON2_MEMORY_KIB: '8', ARGON2_PASSES: '1' };
  // What is signed here was not given to any client.
  const env = { ...cheapHashing, SESSION_PROTECTION: 'none', SMTP_URL: mailServer.url, AUTH_SECRET: testSecret, ...database, ...overrides };
  const clock = new ManualClock();
  const key = await makeSigningKey(env, clock);
  return { ...(await startInstance(t, env, clock)), mailServer, env, key };
}

/**
 * A service over HTTP, its signing key, and the parts of a genuine access token: of a live session, and confirmed, so
 * that nothing but the signature stands between what is made of them and every guarded route.
 */
export async function startServiceWithToken(t: Test) {
  const service = await listening(await startServiceWithKey(t, { RATE_LIMIT: 'off' }));
  const { key } = service;
  const person = await believedPerson(service);
  const [head = '', payload = '', signature = ''] = person.token.split('.');
  return {
    ...{ service, key, person, head, payload, signature },
    privateKey: createPrivateKey(key.privateKey),
    claims: decodeJwt(person.token),
    header: { alg: 'ES256', typ: 'at+jwt', kid: key.kid },
  };
}

/** Makes the first key of an empty database, as the service would when it starts. */
async function makeSigningKey(env: Readonly<Record<string, string>>, clock: ManualClock): Promise<SigningKey> {
  const { databaseUrl, dataDir } = loadConfig(env);
  await openDataDirectory(dataDir);
  const database = await openDatabase({ url: databaseUrl, dataDir, announce: () => {}, onIdleError: () => {} });
  try {
    const options = { db: database.db, secrets: [testSecret], clock, rotationDays: 30, accessTtlSeconds: 300 };
    return (await openKeyRing(options)).current();
  } finally {
    await database.close();
  }
}

/** Claims of an access token in which nothing is wrong but what `overrides` makes so; undefined removes a claim. */
export function accessClaims(overrides: Readonly<Record<string, unknown>> = {}, now = new Date()): JWTPayload {
  const iat = Math.floor(now.getTime() / 1000);
  const claims = {
    iss: 'http://localhost:3000',
    aud: 'http://localhost:3000',
    sub: randomUUID(),
    sid: randomUUID(),
    jti: randomUUID(),
    iat,
    exp: iat + 300,
    username: 'ada',
    email: 'ada@example.com',
    role: 'user',
    confirmed: true,
    ...overrides,
  };
  return Object.fromEntries(Object.entries(claims).filter(([, value]) => value !== undefined)) as JWTPayload;
}

/** Signs claims with a genuine key, under whatever header. */
export async function signWith(
  { kid, privateKey }: SigningKey,
  claims: JWTPayload,
  header: Readonly<Record<string, unknown>> = {},
): Promise<string> {
  const protectedHeader = { alg: 'ES256', typ: 'at+jwt', kid, ...header };
  const given = Object.fromEntries(Object.entries(protectedHeader).filter(([, value]) => value !== undefined));
  return new SignJWT(claims).setProtectedHeader(given as typeof protectedHeader).sign(await importPKCS8(privateKey, 'ES256'));
}

/** A compact JWS of any parts, however they were signed. */
export function compact(header: unknown, payload: unknown, signature = ''): string {
  const part = (value: unknown) => Buffer.from(typeof value === 'string' ? value : JSON.stringify(value)).toString('base64url');
  return `${part(header)}.${part(payload)}.${signature}`;
}

/** A compact JWS with any header, signed by any means. */
export function signed(header: unknown, payload: unknown, signer: (input: Buffer) => Buffer): string {
  const unsigned = compact(header, payload).slice(0, -1);
  return `${unsigned}.${signer(Buffer.from(unsigned)).toString('base64url')}`;
}

/** Signs with a secret. */
export const hmac = (hash: string, key: string | Buffer) => (input: Buffer) => createHmac(hash, key).update(input).digest();

/** Signs with a private key, in the form that JOSE wants, unless another is named. */
export const ecdsa =
  (hash: string, key: KeyObject, dsaEncoding: 'ieee-p1363' | 'der' = 'ieee-p1363') =>
  (input: Buffer) =>
    sign(hash, input, { key, dsaEncoding });

const base64url = 'ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_';

/** Other spellings of the same bytes: the last character has bits to spare, which lenient readers do not look at. */
export function aliasesOf(text: string): string[] {
  const bytes = Buffer.from(text, 'base64url');
  const spellings = [...base64url].map((last) => text.slice(0, -1) + last);
  return spellings.filter((alias) => alias !== text && bytes.equals(Buffer.from(alias, 'base64url')));
}
