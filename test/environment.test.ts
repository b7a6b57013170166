import fc from 'fast-check';
import t from 'tap';
import { createEnvironmentReader, isLoopbackHost } from '../src/environment.ts';

const reader = (value?: string) => createEnvironmentReader({ NAME: value });

t.test('whole numbers are read in decimal and within their range', async (t) => {
  const range = { min: 1, max: 100 };
  for (const [text, expected] of [
    ['1', 1],
    ['100', 100],
    ['007', 7],
  ] as const) {
    const read = reader(text);
    t.equal(read.integer('NAME', 50, range), expected);
    t.same(read.faults, []);
  }
  for (const text of ['0', '101', '-1', '1.0', '1e1', '0x10', '5 0', 'five', '9'.repeat(20), 'NaN', 'Infinity', '١']) {
    const read = reader(text);
    t.equal(read.integer('NAME', 50, range), 50);
    t.equal(read.faults.length, 1, text);
  }
  t.equal(reader().integer('NAME', 50, range), 50);
});

t.test('a choice is one of those offered, letter by letter', async (t) => {
  t.equal(reader('on').oneOf('NAME', ['on', 'off'], 'off'), 'on');
  t.equal(reader().oneOf('NAME', ['on', 'off'], 'off'), 'off');
  for (const text of ['ON', 'true', '1', 'on,off']) {
    const read = reader(text);
    t.equal(read.oneOf('NAME', ['on', 'off'], 'off'), 'off');
    t.equal(read.faults.length, 1, text);
  }
});

t.test('networks are addresses or CIDR ranges, of either family', async (t) => {
  t.same(reader('10.0.0.0/8, ::1,2001:db8::/32 ,192.0.2.7').networks('NAME'), ['10.0.0.0/8', '::1', '2001:db8::/32', '192.0.2.7']);
  t.same(reader().networks('NAME'), []);
  for (const text of ['10.0.0.0/33', '::1/129', '10.0.0/8', 'localhost', '10.0.0.0/', '10.0.0.0/8/8', '*', 'true', '1', '0.0.0.0/x']) {
    const read = reader(text);
    read.networks('NAME');
    t.equal(read.faults.length, 1, text);
  }
});

t.test('a sender is one address, with or without a name', async (t) => {
  const read = (text: string) => reader().sender('NAME', text);
  t.same(read('no-reply@x.test'), { name: '', address: 'no-reply@x.test' });
  t.same(read('Latch Key <no-reply@x.test>'), { name: 'Latch Key', address: 'no-reply@x.test' });
  t.same(read('"Key, Latch" <no-reply@x.test>'), { name: 'Key, Latch', address: 'no-reply@x.test' });
  for (const text of [
    'x',
    '',
    'a@x.test, b@y.test',
    'a@x.test;b@y.test',
    '<a@x.test',
    'A <a@x.test> B <b@y.test>',
    'A\r\nBcc: b@y.test <a@x.test>',
  ]) {
    const attempt = reader();
    t.equal(attempt.sender('NAME', text).address, '');
    t.equal(attempt.faults.length, 1, text);
  }
});

t.test('no fault ever repeats a value', async (t) => {
  const canary = 'c4n4ry-';
  fc.assert(
    fc.property(fc.string(), (text) => {
      const value = `${canary}${text}`;
      const read = reader(value);
      read.line('NAME', 'x');
      read.integer('NAME', 1, { min: 1, max: 2 });
      read.oneOf('NAME', ['a'], 'a');
      read.url('NAME', value, { schemes: ['https'] });
      read.urlTemplate('NAME', 'https://x.test/{token}');
      read.networks('NAME');
      read.sender('NAME', value);
      read.secrets('NAME', value);
      read.secrets('NAME', `${value}, to be replaced: change me before production`);
      return read.faults.length >= 5 && !read.faults.join().includes(canary);
    }),
  );
  t.pass();
});

t.test('only this machine is called loopback', async (t) => {
  for (const host of ['localhost', 'mail.localhost', '127.0.0.1', '127.255.0.9', '[::1]']) t.equal(isLoopbackHost(host), true, host);
  for (const host of [
    'localhost.evil.test',
    'notlocalhost',
    '127.evil.test',
    '128.0.0.1',
    '[::2]',
    '1127.0.0.1',
    '127.0.0.1.evil.test',
    '',
  ]) {
    t.equal(isLoopbackHost(host), false, host);
  }
});
