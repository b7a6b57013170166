import { Type } from '@sinclair/typebox';
import { nullable, uuid } from '../schemas.ts';

/** Members of the query of a list that comes in pages. One that is empty, as forms and templates send it, is as good as none. */
export const pageMembers = {
  limit: Type.Optional(
    Type.String({
      maxLength: 3,
      pattern: '^(?:[1-9][0-9]?|100)?$',
      description: 'How many at most: 1 to 100; 50 by default, or if it is empty.',
    }),
  ),
  cursor: Type.Optional(
    Type.String({
      maxLength: 36,
      pattern: '^(?:[0-9a-fA-F]{8}-(?:[0-9a-fA-F]{4}-){3}[0-9a-fA-F]{12})?$',
      description: 'The `nextCursor` of the page before; none, or an empty one, for the first.',
    }),
  ),
};

/** The member of an answer that leads to the next page. */
export const nextCursorMember = nullable(uuid(), 'What to ask for the next page with; null on the last one.');

/** How many a page has at the most. */
export const maxPageLength = 100;

const defaultLimit = 50;

/** How many a page has at most, if the query of it does not say. */
export function limitOf({ limit }: { readonly limit?: string }): number {
  return limit ? Number(limit) : defaultLimit;
}

/** The last row of the page before, if there is one. */
export function cursorOf({ cursor }: { readonly cursor?: string }): string | undefined {
  return cursor || undefined;
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
