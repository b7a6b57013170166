import t from 'tap';
import { isDatabaseUnavailable } from '../../src/db/unavailable.ts';

t.test('Z16: whoever is not let in by PostgreSQL, or thrown out, may come again', async (t) => {
  const saying = (severity: string) => Object.assign(new Error('could not write init file'), { code: 'XX000', severity });
  t.ok(isDatabaseUnavailable(saying('FATAL')), 'as by a server whose disk is full');
  t.ok(isDatabaseUnavailable(new Error('Failed query', { cause: saying('PANIC') })));
  t.notOk(isDatabaseUnavailable(saying('ERROR')), 'but not whose statement alone has failed inside');
});
