/** NIST SP 800-63B-4 §3.1.1.2 wants at least 64 to be accepted; more than this only costs time. */
export const maxPasswordLength = 128;

/** The length as people count it: in characters, whatever they take to encode. */
export function codePoints(text: string): number {
  return [...text].length;
}
