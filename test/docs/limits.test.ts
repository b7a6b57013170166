import { readFileSync } from 'node:fs';
import t from 'tap';
import type { Limit } from '../../src/limits/limits.ts';
import * as table from '../../src/limits/limits.ts';

/** All limits, however they are arranged. */
function limitsIn(value: unknown): Limit[] {
  if (typeof value !== 'object' || value === null) return [];
  return 'windowSeconds' in value ? [value as Limit] : Object.values(value).flatMap(limitsIn);
}

t.test('README tells every limit, with its number', async (t) => {
  const rows = readFileSync('README.md', 'utf8')
    .split('\n')
    .filter((line) => line.startsWith('| '));
  const limits = limitsIn(table);
  t.ok(limits.length > 20);
  for (const { name, max } of limits) {
    // The limit of a day stands in the row of the shorter one.
    const row = rows.find((line) => line.includes(`\`${name.replace(/-day$/, '')}\``));
    t.ok(row !== undefined && new RegExp(`\\b${max}\\b`).test(row), `${name}: ${max}`);
  }
});
