import t from 'tap';
import { codePoints } from '../../src/credentials/password-length.ts';
import { isWeakPassword } from '../../src/credentials/password-policy.ts';

const context = { words: ['ada.lovelace@example.com', 'countess', 'Latchkey'], minLength: 8 };
const isWeak = (password: string, words = context.words) => isWeakPassword(password, { ...context, words });

t.test('R15: common passwords are weak, in any case and length', async (t) => {
  const common = [
    'password1',
    'Password1',
    'PASSWORD1',
    '12345678',
    '123456789012345',
    '1234567890'.repeat(12),
    'qwertyuiop',
    'abcdefghijklmnop',
    'iloveyou',
    '987654321',
    '0987654321',
    'poiuytrewq',
    '11111111',
    '000000000000',
    'AAAAAAAA',
    '123123123',
    '12312312',
    '12341234',
    'abcabcabc',
    'qweqweqwe',
    'Password1!',
    'Password@123',
    'p@$$w0rd',
    'P@ssw0rd1',
    'Football2024',
    'welcome1!',
    'trustno1!',
    'princes$',
    'Pr1nc3$$',
    '12345678!!!!',
    '11111111!',
    'changeme123',
  ];
  for (const password of common) t.equal(isWeak(password), true, password);
});

t.test('R15: what is little more than the address, its local part, the user name or the service is weak', async (t) => {
  const related = [
    'ada.lovelace@example.com',
    'Ada.Lovelace@Example.com',
    'ada.lovelace',
    'ADA.LOVELACE1',
    'countess',
    'Countess99',
    '1countess1',
    'latchkey',
    'Latchkey1!',
    'latchkeylatchkey',
    'countesscountess1',
    'Latchkey-Countess',
    'latchkeypassword',
    'countesspassword',
    'password1latchkey',
    'latchkey12345678',
    'countess-latchkey-P@ssw0rd!',
    'ada.lovelace@example.com latchkey',
  ];
  for (const password of related) t.equal(isWeak(password), true, password);
});

t.test('a password is not weak for having such a word in it, if enough is left without', async (t) => {
  for (const password of ['countess of the engine', 'my latchkey is under the mat', 'latchkey k3vQ8rTx countess', 'countess#$%^&*()_+r'])
    t.equal(isWeak(password), false, password);
});

t.test('R15: an address is weak as it is kept and as it is read, however its letters are composed', async (t) => {
  const words = ['jo@xn--bcher-kva.test'];
  for (const password of ['jo@xn--bcher-kva.test', 'jo@bücher.test', 'JO@BÜCHER.TEST', 'jo@bu\u0308cher.test']) {
    t.equal(isWeak(password, words), true, password);
  }
  t.equal(isWeak('jo and his bücher.test', words), false);
});

t.test('very short words make no password weak', async (t) => {
  t.equal(isWeak('bob and the tree', ['bob@b.io', 'bob', 'x']), false);
  t.equal(isWeak('xbobx and', ['bob']), false);
  t.equal(isWeak('boby and', ['boby']), true);
});

t.test('R12: there are no rules about kinds of characters', async (t) => {
  const accepted = [
    ' '.repeat(15),
    '🦜'.repeat(15),
    'correct horse battery staple',
    'ääääääää',
    'zyx wvu tsr',
    '\t\t\t\t\t\t\t\t\t',
    `${'a'.repeat(72)}X`,
    'a'.repeat(64),
    'q7'.repeat(64),
    '12345123451',
  ];
  for (const password of accepted) t.equal(isWeak(password), false, password);
});

t.test('lengths are counted in code points', async (t) => {
  t.same(['', 'abc', 'äöü', '🦜🦜', 'e\u0301'].map(codePoints), [0, 3, 3, 2, 2]);
});

t.test('a minimum length that was raised makes no long password weak for the name in it', async (t) => {
  const words = ['ada_lovelace'];
  t.equal(isWeakPassword('ada_lovelace wrote the first program', { words, minLength: 64 }), false);
  t.equal(isWeakPassword('ada_lovelace1843', { words, minLength: 64 }), true);
});
