/** How often a request has a header field. Node.js keeps the first of some fields and says nothing of the others. */
export function countHeader(rawHeaders: readonly string[], name: string): number {
  let count = 0;
  // Names and values by turns.
  for (let index = 0; index < rawHeaders.length; index += 2) {
    const text = rawHeaders[index] as string;
    if (text.length === name.length && text.toLowerCase() === name) count += 1;
  }
  return count;
}
