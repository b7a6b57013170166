import type { AccessTokens } from '../tokens/access-token.ts';

/** No scheme has more than one or two, and each may cost the check of a signature. */
const maxTokens = 4;
/** RFC 7515 §7.1: three parts in base64url. */
const compactForm = /^[\w-]+\.[\w-]+\.[\w-]+$/;

/**
 * Whether an `Authorization` field may hold an access token of ours, however it is written: an application may read one
 * where we do not. One that holds more than four things in the form of a token may, whatever they are.
 */
export function mayHoldOurs(authorization: string, accessTokens: Pick<AccessTokens, 'verify'>): boolean {
  const tokens = authorization.split(/[^\w.-]+/).filter((part) => compactForm.test(part));
  return tokens.length > maxTokens || tokens.some((each) => accessTokens.verify(each) !== undefined);
}
