/** How often a request has a header field. Node.js keeps the first of some fields and says nothing of the others. */
export function countHeader(rawHeaders: readonly string[], name: string): number {
  // Names and values by turns.
  return rawHeaders.filter((text, index) => index % 2 === 0 && text.toLowerCase() === name).length;
}
