// Blanks types out, so that every line and column stays where it is. What was blanked is kept on disk: the compiler,
// which takes longer to load than most tests take to run, is needed once for each state of a file.
import { createHash } from 'node:crypto';
import { mkdirSync, readFileSync, renameSync, writeFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';

const cache = fileURLToPath(new URL('../node_modules/.cache/latchkey-typescript/', import.meta.url));
mkdirSync(cache, { recursive: true });

export async function load(url, context, nextLoad) {
  if (!url.startsWith('file:') || !url.endsWith('.ts')) return nextLoad(url, context);
  const source = readFileSync(fileURLToPath(url), 'utf8');
  return { format: 'module', shortCircuit: true, source: await blankOf(source) };
}

async function blankOf(source) {
  const path = `${cache}${createHash('sha256').update(source).digest('hex')}.js`;
  try {
    return readFileSync(path, 'utf8');
  } catch {
    const { default: blankSpace } = await import('ts-blank-space');
    const blank = blankSpace(source);
    const draft = `${path}.${process.pid}`;
    writeFileSync(draft, blank);
    renameSync(draft, path);
    return blank;
  }
}
