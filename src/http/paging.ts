import { Type } from '@sinclair/typebox';
import { nullable, uuid } from '../schemas.ts';

/** Members of the query of a list that comes in pages. */
export const pageMembers = {
  limit: Type.Optional(
    Type.String({ maxLength: 3, pattern: '^(?:[1-9][0-9]?|100)$', description: 'How many at most: 1 to 100; 50 by default.' }),
  ),
  cursor: Type.Optional(uuid('The `nextCursor` of the page before.')),
};

/** The member of an answer that leads to the next page. */
export const nextCursorMember = nullable(uuid(), 'What to ask for the next page with; null on the last one.');

/** How many a page has at the most. */
export const maxPageLength = 100;

const defaultLimit = 50;

/** How many a page has at most, if the query of it does not say. */
export function limitOf({ limit }: { readonly limit?: string }): number {
  return limit === undefined ? defaultLimit : Number(limit);
}

interface Page<Row> {
  readonly rows: readonly Row[];
  readonly nextCursor: string | null;
}

/**
 * Reads a page.
 *
 * @param find reads so many rows at most; it is asked for one more than the page has, which tells whether there is a next
 */
export async function readPage<Row extends { id: string }>(limit: number, find: (limit: number) => Promise<Row[]>): Promise<Page<Row>> {
  const found = await find(limit + 1);
  const rows = found.slice(0, limit);
  return { rows, nextCursor: found.length > limit ? (rows.at(-1)?.id ?? null) : null };
}
