import { mkdir, readdir, readFile, rm, writeFile } from 'node:fs/promises';
import { join } from 'node:path';

const directory = '.tap/batches';

/** Files that a process runs one after the other: to load the service takes longer than most of them. */
const filesPerBatch = 5;

/** A file that changes what a whole process does has one to itself. */
const wantsProcess = /^t\.(?:jobs|setTimeout)\b|^import .*\/argon2-count\.ts';/m;

export async function testFiles(): Promise<string[]> {
  const files = await readdir('test', { recursive: true });
  return files
    .filter((file) => file.endsWith('.test.ts'))
    .sort()
    .map((file) => `test/${file}`);
}

/**
 * Writes files that import test files, as many as one process shall run. They are dealt like cards, so that the slow
 * ones, which are often neighbours, are not in one hand.
 *
 * @returns the files for tap to run
 */
export async function writeBatches(files: readonly string[]): Promise<string[]> {
  await rm(directory, { recursive: true, force: true });
  await mkdir(directory, { recursive: true });
  const alone: string[] = [];
  const together: string[] = [];
  for (const file of files) (wantsProcess.test(await readFile(file, 'utf8')) ? alone : together).push(file);
  const size = Math.ceil(together.length / filesPerBatch);
  const hands = Array.from({ length: size }, (_, hand) => together.filter((_file, index) => index % size === hand));
  const batches = hands.map(async (hand, index) => {
    const batch = join(directory, `${String(index + 1).padStart(2, '0')}.test.js`);
    await writeFile(batch, hand.map((file) => `import '../../${file}';\n`).join(''));
    return batch;
  });
  return [...alone, ...(await Promise.all(batches))];
}

/** More of a difference is seldom needed to tell what went wrong, and one line has to hold it. */
const longestDifference = 600;

/** What failed, from the output of tap: each failing line with the place it points to, and what was there instead, in order. */
export function failuresIn(output: string): string[] {
  const lines = output.split('\n');
  return lines.flatMap((line, index) => {
    const [, what] = /^\s*not ok \d+ - (.*?)(?: # time=.*)?$/.exec(line) ?? [];
    if (what === undefined || / # (?:skip|todo)\b/i.test(what)) return [];
    const details =
      lines
        .slice(index + 1, index + 200)
        .join('\n')
        .split(/^\s*\.\.\.$/m, 1)[0] ?? '';
    const [, file, number] = /fileName: (\S+)\n\s*lineNumber: (\d+)/.exec(details) ?? [];
    const place = file === undefined ? '' : ` (${file}:${number})`;
    return [`${what}${place}${differenceIn(details)}`];
  });
}

function differenceIn(details: string): string {
  const [, difference = ''] = /^\s*diff: \|\n(?:.*\n){3}([\s\S]*?)^\s*at:$/m.exec(details) ?? [];
  const changes = difference.split('\n').flatMap((line) => (/^\s*[-+]/.test(line) ? [line.trim()] : []));
  return changes.length === 0 ? '' : `: ${changes.join(' ').slice(0, longestDifference)}`;
}
