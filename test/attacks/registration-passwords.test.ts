import t, { type Test } from 'tap';
import { users } from '../../src/db/schema.ts';
import { argon2UsesOf } from '../support/argon2-count.ts';
import { startHttpService } from '../support/http.ts';
import { confirmedPerson, newDetails, register, resetToken } from '../support/person.ts';
import { refused } from '../support/refusal.ts';
import { openTables } from '../support/tables.ts';
import { assertProblem, exchangeOne, postBytes } from '../support/wire.ts';

t.test('the password of a registration', async (t) => {
  const service = await startHttpService(t, { RATE_LIMIT: 'off' });
  const tables = openTables(t, service);

  const send = (members: object) => service.post('/auth/register', { ...newDetails(), ...members });
  /** What was refused has left no account behind, and what differs from it in nothing else has been accepted. */
  async function onlyAdded(t: Test, before: number, added: number) {
    t.equal((await tables.$count(users)) - before, added, `${added} accounts were made`);
  }

  t.test('R12 a password of 8 to 128 characters of any kind is accepted, and no other, which costs no hash', async (t) => {
    const before = await tables.$count(users);
    const good = {
      'of 8': 'k3vQ8rTx',
      'of 64': 'k3vQ8rTx'.repeat(8),
      'of 128': 'k3vQ8rTx'.repeat(16),
      'of 128 emoji': '🦊🐙🌵🪁'.repeat(32),
      '15 spaces': ' '.repeat(15),
      '15 emoji': '🦊'.repeat(15),
      'words only': 'correct horse battery staple',
      'lower case only': 'gvjzmwhtkpqy',
      'digits only': '830274651927',
      'of another script': 'пароль из пяти слов',
      'with quotation marks and markup': `"'<b>&amp;\\n%00`,
      'with a line break and a tab': 'one line\nand\tanother',
      'with a space at both ends': ' between spaces ',
    };
    for (const [what, password] of Object.entries(good)) {
      const details = { ...newDetails(), password };
      const { result, uses } = await argon2UsesOf(() => service.post('/auth/register', details));
      t.equal(result.status, 201, what);
      t.strictSame(
        uses.map(({ kind }) => kind),
        ['hash'],
        'it costs one hash',
      );
      const { email } = details;
      t.equal((await service.post('/auth/login', { email, password })).status, 200, 'and it works');
      refused(t, await service.post('/auth/login', { email, password: `${password} ` }), 401, 'invalid_credentials', 'with nothing added');
      const shorter = [...password].slice(0, -1).join('');
      refused(t, await service.post('/auth/login', { email, password: shorter }), 401, 'invalid_credentials', 'or cut off');
    }
    const person = await confirmedPerson(service);
    const reset = await resetToken(service, person);
    const outside = {
      empty: '',
      'of 7': 'k3vQ8rT',
      'of 7 emoji, which are 14 units and 28 bytes': '🦊'.repeat(7),
      'of 129': `${'k3vQ8rTx'.repeat(16)}k`,
      'of 129 emoji': '🦊'.repeat(129),
      'of 3000': 'k3vQ8rTx'.repeat(375),
    };
    const { uses } = await argon2UsesOf(async () => {
      for (const [what, password] of Object.entries(outside)) {
        refused(t, await send({ password }), 400, 'validation_failed', what);
        const answer = await service.post('/auth/password/reset', { token: reset, newPassword: password });
        refused(t, answer, 400, 'validation_failed', `${what}, as a new one`);
        const body = { currentPassword: person.password, newPassword: password };
        refused(
          t,
          await service.request('PUT', '/auth/password', { token: person.token, body }),
          400,
          'validation_failed',
          'in place of another',
        );
      }
      const million = JSON.stringify({ ...newDetails(), password: 'x'.repeat(1_000_000) });
      // A part of it: the rest is not waited for.
      const bytes = postBytes('/auth/register', million.slice(0, 1000), { 'content-length': String(million.length) });
      assertProblem(t, await exchangeOne(service.base, bytes), { status: 413, code: 'payload_too_large' });
      refused(t, await send({ passwordConfirmation: 'x'.repeat(129) }), 400, 'validation_failed', 'a confirmation of 129');
    });
    t.strictSame(uses, [], 'nothing was hashed');
    t.equal(
      (await service.post('/auth/password/reset', { token: reset, newPassword: 'k3vQ8rTy' })).status,
      204,
      'none of it has spent the link',
    );
    await onlyAdded(t, before, Object.keys(good).length + 1);
  });

  t.test('R13 every character of a password counts', async (t) => {
    const pairs = [
      [`${'a'.repeat(72)}X`, `${'a'.repeat(72)}Y`],
      [`${'a'.repeat(127)}X`, `${'a'.repeat(127)}Y`],
      [`${'é'.repeat(36)}X`, `${'é'.repeat(36)}Y`],
      [`${'🦊'.repeat(64)}X`, `${'🦊'.repeat(64)}Y`],
      ['before\u0001after', 'before\u0001other'],
      ['before\nafter', 'before\nother'],
      ['before\u001aafter', 'before\u001aother'],
      ['Upper and lower', 'upper and lower'],
      ['a plain letter e', 'a plain letter é'],
      ['a full width Ａ', 'a full width A'],
    ] as const;
    for (const [password, other] of pairs) {
      const { email } = await register(service, { ...newDetails(), password });
      refused(t, await service.post('/auth/login', { email, password: other }), 401, 'invalid_credentials', JSON.stringify(other));
      t.equal((await service.post('/auth/login', { email, password })).status, 200, JSON.stringify(password));
    }
    const { email, password } = await register(service);
    refused(t, await send({ password: 'abc\u0000def and more' }), 400, 'malformed_request', 'a NUL is no character of a password');
    refused(
      t,
      await service.post('/auth/login', { email, password: `${password}\u0000xyz` }),
      400,
      'malformed_request',
      'at a login, either',
    );
    refused(t, await send({ password: 'half a pair \ud800' }), 400, 'malformed_request', 'nor is half of one');
  });

  t.test('R15 a password that is guessed first is refused', async (t) => {
    const before = await tables.$count(users);
    const own = { email: 'Augusta.King@bücher.test', username: 'Countess_of_L' };
    const weak = {
      common: [
        'password1',
        'Password1',
        'PASSWORD1',
        '123456789012345',
        'qwertyuiop',
        'iloveyou1',
        'letmein123',
        '12345678',
        'abcdefghijklmn',
        '987654321',
        '11111111',
        '00000000',
        'AAAAAAAA',
        '123123123',
        'qweqweqwe',
      ],
      'the address': [
        'Augusta.King@bücher.test',
        'augusta.king@bücher.test',
        'AUGUSTA.KING@BÜCHER.TEST',
        'augusta.king@bu\u0308cher.test',
        'augusta.king@xn--bcher-kva.test',
        'augusta.king',
        'Augusta.King1',
      ],
      'the name': ['Countess_of_L', 'countess_of_l', 'COUNTESS_OF_L', 'Countess_of_L!'],
      'the service': ['latchkey', 'Latchkey', 'LATCHKEY1', '1latchkey!', 'latchkeylatchkey'],
    };
    const { uses } = await argon2UsesOf(async () => {
      for (const [what, passwords] of Object.entries(weak)) {
        for (const password of passwords) refused(t, await send({ ...own, password }), 400, 'weak_password', `${what}: ${password}`);
      }
    });
    t.strictSame(uses, [], 'nothing was hashed');
    await onlyAdded(t, before, 0);
    const person = await register(service, { ...own, password: 'not that easy to guess' });
    const token = await resetToken(service, person);
    for (const newPassword of Object.values(weak).flat()) {
      refused(t, await service.post('/auth/password/reset', { token, newPassword }), 400, 'weak_password', `reset to ${newPassword}`);
    }
    t.equal((await service.post('/auth/password/reset', { token, newPassword: 'hard to guess, too' })).status, 204);
  });

  t.test('R15 what is short is judged as it is: an address of few letters is no password, either', async (t) => {
    const own = { email: 'jo@bücher.test', username: 'jo' };
    for (const password of ['jo@bücher.test', 'JO@bücher.TEST', 'jo@xn--bcher-kva.test']) {
      refused(t, await send({ ...own, password }), 400, 'weak_password', password);
    }
    t.equal((await send({ ...own, password: 'jo@another place' })).status, 201);
  });
});
