import t from 'tap';
import { newDetails } from '../support/person.ts';
import { startService } from '../support/service.ts';

t.test('passwords', async (t) => {
  const service = await startService(t);
  const registerWith = async (password: string, changes: Record<string, string> = {}) => {
    const details = { ...newDetails(), ...changes, password };
    const { status, body } = await service.post('/auth/register', details);
    return { details, status, code: body.code };
  };

  await t.test('R12: any characters from 8 to 128 code points are a password', async (t) => {
    const accepted = [
      'zyx wvu!',
      'ab cd ef'.repeat(8),
      'q7'.repeat(64),
      '🦜'.repeat(128),
      ' '.repeat(15),
      '🦜'.repeat(15),
      'correct horse battery staple',
    ];
    for (const password of accepted) {
      const { details, status } = await registerWith(password);
      t.equal(status, 201, password.slice(0, 20));
      t.equal((await service.post('/auth/login', { email: details.email, password })).status, 200);
    }
  });

  await t.test('R12: a password that is too short or too long is refused', async (t) => {
    for (const password of ['', 'zyx wvu', '🦜'.repeat(7), 'q7'.repeat(64).concat('q'), '🦜'.repeat(129)]) {
      t.match(await registerWith(password), { status: 400, code: 'validation_failed' });
    }
    t.match(await registerWith('q7'.repeat(500_000)), { status: 413, code: 'payload_too_large' });
  });

  await t.test('R13: no password is cut, at no length and at no character', async (t) => {
    const { details } = await registerWith(`${'a'.repeat(72)}X`);
    const logInWith = async (password: string) => (await service.post('/auth/login', { email: details.email, password })).status;
    t.equal(await logInWith(`${'a'.repeat(72)}X`), 200);
    for (const password of [`${'a'.repeat(72)}Y`, 'a'.repeat(72), `${'a'.repeat(72)}XX`]) t.equal(await logInWith(password), 401);
    t.equal(await logInWith(`${'a'.repeat(72)}X\u0000`), 400);
  });

  await t.test('R15: a password that is common, or made from a name, is weak', async (t) => {
    const names = { email: 'grace.hopper@example.com', username: 'amazing_grace' };
    for (const password of [
      'password1',
      '123456789012345',
      'Grace.Hopper@example.com',
      'grace.hopper',
      'amazing_grace',
      'AMAZING_GRACE1',
      'latchkey1',
      'Latchkey',
    ]) {
      t.match(await registerWith(password, names), { status: 400, code: 'weak_password' }, password);
    }
    t.equal((await registerWith('a rear admiral of the fleet', names)).status, 201);
  });
});
