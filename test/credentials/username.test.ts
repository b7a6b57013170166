import t from 'tap';
import { canonicalUsername, isReservedUsername, usernameFaults, usernamePattern } from '../../src/credentials/username.ts';

const pattern = new RegExp(usernamePattern, 'u');

t.test('a user name begins with a letter, and goes on with letters, digits, dots and underscores', async (t) => {
  for (const name of ['a', 'Z', 'ada', 'Ada_Lovelace', 'a.b', 'a1', 'a_', 'a.', 'a..b']) t.match(name, pattern);
  for (const name of ['', '1a', '_a', '.a', 'a b', 'a-b', 'a@b', 'ä', 'bоb', 'b\u200bob', 'bob ', 'bob\n', 'n\r\nBcc: b@y.test', 'a\0']) {
    t.notMatch(name, pattern, JSON.stringify(name));
  }
});

t.test('user names are compared without regard to case', async (t) => {
  t.equal(canonicalUsername('Bob_1.X'), canonicalUsername('bOB_1.x'));
  t.not(canonicalUsername('bob'), canonicalUsername('bob.'));
});

t.test('names that would pass for the service or a role are reserved, in any case', async (t) => {
  for (const name of ['admin', 'Admin', 'ROOT', 'postmaster', 'me', 'No_Reply']) t.equal(isReservedUsername(name), true, name);
  for (const name of ['ada', 'admina', 'roots', 'me.', 'constructor', '__proto__']) t.equal(isReservedUsername(name), false, name);
});

t.test('D10: a hostile user name is looked at in no time', async (t) => {
  const start = performance.now();
  t.notMatch(`${'a'.repeat(100_000)}!`, pattern);
  t.notMatch(`${'a.'.repeat(50_000)}-`, pattern);
  t.ok(performance.now() - start < 2000);
});

t.test('what is wrong with a name is said of the member', async (t) => {
  t.strictSame(usernameFaults('ada'), []);
  t.match(usernameFaults('1ada'), [{ pointer: '/username', code: 'pattern' }]);
  t.match(usernameFaults('x'.repeat(65)), [{ pointer: '/username', code: 'pattern' }]);
  t.match(usernameFaults('Root'), [{ pointer: '/username', code: 'reserved' }]);
});
