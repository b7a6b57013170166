import type { AccessTokens } from '../tokens/access-token.ts';

/** No scheme has more than one or two, and each may cost the check of a signature. */
const maxTokens = 4;
/** RFC 7515 §7.1: three parts in base64url. */
const compactForm = /^[\w-]+\.[\w-]+\.[\w-]+$/;
/** What may stand around a token; a run that is not at the end is looked at once only. */
const atTheEnds = /^[._-]+|(?<![._-])[._-]+$/g;

/**
 * Whether an `Authorization` field may hold an access token of ours where we do not read one, but an application may: under
 * any scheme, among any others, in quotation marks or the like, and as a name or password of `Basic` (RFC 7617). One that
 * holds more than four things in the form of a token may, whatever they are. Does not look into other encodings.
 */
export function mayHoldOurs(authorization: string, accessTokens: Pick<AccessTokens, 'verify'>): boolean {
  const parts = [authorization, basicCredentials(authorization)].flatMap((text) => text.split(/[^\w.-]+/));
  // What stands at the ends may be a token's own.
  const spellings = new Set(parts.flatMap((part) => [part, part.replace(atTheEnds, '')]));
  const tokens = [...spellings].filter((each) => compactForm.test(each));
  return tokens.length > maxTokens || tokens.some((each) => accessTokens.verify(each) !== undefined);
}

function basicCredentials(authorization: string): string {
  const encoded = /^\s*basic\s+(.*)$/i.exec(authorization)?.[1] ?? '';
  return Buffer.from(encoded, 'base64').toString('latin1');
}
