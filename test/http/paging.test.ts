import t from 'tap';
import { limitOf, readPage } from '../../src/http/paging.ts';

const rows = ['a', 'b', 'c'].map((id) => ({ id }));

t.test('a page has as many as are asked for, 50 if nobody says', (t) => {
  t.strictSame([limitOf({}), limitOf({ limit: '' }), limitOf({ limit: '1' }), limitOf({ limit: '100' })], [50, 50, 1, 100]);
  t.end();
});

t.test('a page leads to the next one, if there is one', async (t) => {
  const asked: number[] = [];
  const find = async (limit: number) => {
    asked.push(limit);
    return rows.slice(0, limit);
  };
  t.strictSame(await readPage(2, find), { rows: rows.slice(0, 2), nextCursor: 'b' });
  t.strictSame(await readPage(3, find), { rows, nextCursor: null }, 'a full page may be the last');
  t.strictSame(await readPage(4, find), { rows, nextCursor: null });
  t.strictSame(asked, [3, 4, 5], 'one more than the page has');
  t.strictSame(await readPage(1, async () => []), { rows: [], nextCursor: null });
});
