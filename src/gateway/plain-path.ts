/** How often a path may be percent-encoded: nobody has a reason to do it more often, but to hide something. */
const maxLayers = 3;

/**
 * Whether a path has a property in every reading: as it is, and percent-decoded once, twice, or as often as somebody
 * on the way may do it. A path that can be decoded more than three times has none.
 */
export function inEveryReading(path: string, holds: (reading: string) => boolean): boolean {
  let reading = path;
  for (let layer = 0; layer <= maxLayers; layer += 1) {
    if (!holds(reading)) return false;
    const decoded = decodeAscii(reading);
    if (decoded === reading) return true;
    reading = decoded;
  }
  return false;
}

function decodeAscii(text: string): string {
  return text.replace(/%([0-7][\da-f])/gi, (_, digits: string) => String.fromCharCode(Number.parseInt(digits, 16)));
}

/**
 * Whether a target leads to one place only, whoever reads it: no segment goes up, and none is hidden from those who do
 * not decode as often as others, or who take a backslash for a slash or parameters for a part of the segment.
 */
export function isPlainTarget(target: string): boolean {
  const [path = ''] = target.split('?', 1);
  return /^\/(?!\/)/.test(path) && !target.includes('#') && inEveryReading(path, hasPlainSegments);
}

function hasPlainSegments(path: string): boolean {
  return !/[\\\p{Cc}]/u.test(path) && path.split('/').every((segment) => !/^\.{1,2}(?:;|$)/.test(segment));
}
