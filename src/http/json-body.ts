import { Problem } from '../problems/problem.ts';

/** A byte order mark stays in the text, where it is no JSON (RFC 8259 §8.1): some parsers skip it, some do not. */
const utf8 = new TextDecoder('utf-8', { fatal: true, ignoreBOM: true });

/** In well-formed JSON every quotation mark belongs to a string, so this finds each string, and whether it names a member. */
const strings = /"(?:[^"\\]|\\.)*"(\s*:)?/g;

/**
 * Reads a JSON body literally.
 *
 * Refuses what parsers disagree about, so that nothing behind this service can read another meaning into the same
 * bytes (RFC 8259 §4, §8): bytes that are not UTF-8, a member named twice, `__proto__` and `constructor.prototype`,
 * and strings with a NUL or a lone surrogate, which PostgreSQL refuses or silently changes. No bytes are no body.
 *
 * @throws Problem `malformed_request`
 */
export function parseJsonBody(body: Buffer): unknown {
  if (body.length === 0) return undefined;
  let text: string;
  let value: unknown;
  try {
    text = utf8.decode(body);
    value = JSON.parse(text);
  } catch (cause) {
    throw new Problem('malformed_request', { cause });
  }
  if (countMembers(value) !== countMemberNames(text)) throw new Problem('malformed_request', { cause: 'a member is named twice' });
  return value;
}

function countMemberNames(text: string): number {
  let names = 0;
  for (const match of text.matchAll(strings)) if (match[1] !== undefined) names += 1;
  return names;
}

/** Counts the members of all objects in a value, and refuses strings that must not go further. */
function countMembers(root: unknown): number {
  let members = 0;
  const pending: unknown[] = [root];
  while (pending.length > 0) {
    const value = pending.pop();
    if (typeof value === 'string') requireText(value);
    else if (Array.isArray(value)) pending.push(...value);
    else if (typeof value === 'object' && value !== null) {
      for (const [name, member] of Object.entries(value)) {
        requireName(name, member);
        members += 1;
        pending.push(member);
      }
    }
  }
  return members;
}

function requireName(name: string, member: unknown): void {
  requireText(name);
  const reachesPrototype =
    name === '__proto__' || (name === 'constructor' && typeof member === 'object' && member !== null && Object.hasOwn(member, 'prototype'));
  if (reachesPrototype) throw new Problem('malformed_request', { cause: 'a member would reach a prototype' });
}

function requireText(text: string): void {
  if (text.includes('\0') || !text.isWellFormed()) throw new Problem('malformed_request', { cause: 'a string is not well-formed text' });
}
