import type { AccessTokens } from '../tokens/access-token.ts';

/** No scheme has more than one or two tokens, of two such parts each, which are read in a few ways. */
const maxParts = 16;
/** How a token begins, and its claims: `{"` in base64url, and enough behind it to name a key. */
const encodedObject = /(?=(eyJ[\w-]{20,}))/g;

/**
 * Whether an `Authorization` field may hold an access token of ours where we do not read one, but an application may: under
 * any scheme, among whatever else, and as a name or password of `Basic` (RFC 7617). It goes by the key that a token names, so
 * that one which we take for over, or for misspelt, is ours, too. A field that holds many things in the form of a token may,
 * whatever they are. Does not look into other encodings.
 */
export function mayHoldOurs(authorization: string, accessTokens: Pick<AccessTokens, 'isByOurKey'>): boolean {
  const encoded = /^\s*basic\s+(.*)$/i.exec(authorization)?.[1] ?? '';
  // Of what is well-formed, padding leaves three.
  const pieces = encoded.split('=', maxParts + 1);
  if (pieces.length > maxParts) return true;
  let parts = 0;
  for (const text of [authorization, ...decoded(encoded, pieces)]) {
    // One after the other, and no further: for each, all that is behind it is looked at.
    for (const [, part = ''] of text.matchAll(encodedObject)) {
      parts += 1;
      if (parts > maxParts || accessTokens.isByOurKey(part)) return true;
    }
  }
  return false;
}

/** As different decoders read it: some pass over padding in the middle, or what is no digit to them, and some begin anew. */
function decoded(encoded: string, pieces: readonly string[]): string[] {
  const readings = [encoded.replaceAll('=', ''), encoded.replace(/[^A-Za-z\d+/]/g, ''), ...pieces];
  return readings.map((each) => Buffer.from(each, 'base64').toString('latin1'));
}
