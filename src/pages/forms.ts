import { createHmac, timingSafeEqual } from 'node:crypto';
import { Type } from '@sinclair/typebox';
import type { FastifyInstance, FastifyRequest } from 'fastify';
import { requirePlain } from '../http/plugin.ts';
import { Problem } from '../problems/problem.ts';
import { deriveKey } from '../tokens/keys.ts';

/** Shows that a form was made by this service, for this link and this session (ASVS 3.5.1). */
export interface FormProofs {
  make(action: string, sessionId: string | undefined): string;
  isGenuine(proof: string, action: string, sessionId: string | undefined): boolean;
}

/** @param secrets the first makes them, all verify */
export function createFormProofs(secrets: readonly string[]): FormProofs {
  const keys = secrets.map((secret) => deriveKey(secret, 'form proof'));
  const mac = (key: Buffer, action: string, sessionId = '') => createHmac('sha256', key).update(`${action} ${sessionId}`).digest();

  return {
    make: (action, sessionId) => mac(keys[0] as Buffer, action, sessionId).toString('base64url'),
    isGenuine(proof, action, sessionId) {
      const actual = Buffer.from(proof, 'base64url');
      return keys.map((key) => mac(key, action, sessionId)).some((each) => each.length === actual.length && timingSafeEqual(each, actual));
    },
  };
}

const utf8 = new TextDecoder('utf-8', { fatal: true, ignoreBOM: true });
const urlEncoded = 'application/x-www-form-urlencoded';

/** What every form of a page sends, besides its own fields. */
export const proofMember = Type.String({ maxLength: 64 });

/**
 * Lets the routes of a plugin take forms, and nothing else. Read as literally as JSON is: a member that comes twice,
 * and what PostgreSQL would not keep as it is, is refused.
 */
export function acceptForms(app: FastifyInstance): void {
  app.removeAllContentTypeParsers();
  app.addContentTypeParser(urlEncoded, { parseAs: 'buffer' }, async (request: FastifyRequest, body: Buffer) =>
    parseForm(requirePlain(request, body)),
  );
}

/** @throws Problem `malformed_request` */
function parseForm(body: Buffer): Record<string, string> {
  const pairs = [...new URLSearchParams(requireUtf8(body))];
  const members = new Map(pairs);
  if (members.size !== pairs.length || members.has('__proto__') || pairs.flat().some((text) => text.includes('\0'))) {
    throw new Problem('malformed_request', { cause: 'a member is named twice, or holds what cannot be kept' });
  }
  return Object.fromEntries(members);
}

/** URLSearchParams would quietly replace what is no UTF-8: two passwords would become one. */
function requireUtf8(body: Buffer): string {
  try {
    const text = utf8.decode(body);
    decodeURIComponent(text);
    return text;
  } catch (cause) {
    throw new Problem('malformed_request', { cause });
  }
}
