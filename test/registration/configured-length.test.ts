import t from 'tap';
import { newDetails } from '../support/person.ts';
import { refused } from '../support/refusal.ts';
import { startService } from '../support/service.ts';

t.test('PASSWORD_MIN_LENGTH raises what a password must have, in code points', async (t) => {
  const service = await startService(t, { PASSWORD_MIN_LENGTH: '12' });
  const key = '\u{1f511}';
  const tooShort = await service.post('/auth/register', { ...newDetails(), password: key.repeat(11) });
  refused(t, tooShort, 400, 'validation_failed');
  t.match(tooShort.body.errors, [{ pointer: '/password', code: 'minLength' }]);
  t.equal((await service.post('/auth/register', { ...newDetails(), password: key.repeat(12) })).status, 201);
});
