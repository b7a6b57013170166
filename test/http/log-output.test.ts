import { execFileSync } from 'node:child_process';
import fs, { openSync } from 'node:fs';
import { type FileHandle, open, readFile } from 'node:fs/promises';
import { syncBuiltinESMExports } from 'node:module';
import { Socket } from 'node:net';
import { join } from 'node:path';
import { Writable } from 'node:stream';
import t, { type Test } from 'tap';
import { type Output, openLogOutput } from '../../src/http/log-output.ts';
import { eventually } from '../support/eventually.ts';

const line = (index: number) => `${JSON.stringify({ index, what: 'x'.repeat(80) })}\n`;
const lineLength = line(1000).length;
const indexesIn = (text: string): number[] =>
  text
    .split('\n')
    .slice(0, -1)
    .map((each) => JSON.parse(each).index);

/** As Node.js opens standard output when it is a file. */
function outputTo({ fd }: FileHandle): Output {
  return Object.assign(new Writable(), { fd });
}

/** A pipe, with its reading end. */
async function openPipe(t: Test) {
  const path = join(t.testdir(), 'pipe');
  execFileSync('mkfifo', [path]);
  const reading = await open(path, 'r+');
  const fd = openSync(path, 'w');
  const output = new Socket({ fd, readable: false, writable: true });
  t.teardown(async () => {
    output.destroy();
    await reading.close();
  });
  return { reading, output: Object.assign(output, { fd }) };
}

t.test('lines that nobody reads wait, and are dropped when they are too many; how many is told when there is room', async (t) => {
  const { reading, output } = await openPipe(t);
  const told: number[] = [];
  const count = 20_000;
  const tell = (dropped: number) => {
    told.push(dropped);
    log.write(line(count));
  };
  const log = openLogOutput({ output, capacity: 1000 * lineLength, tell });
  for (let index = 0; index < count; index += 1) {
    log.write(line(index));
    // So that what it takes meanwhile is written.
    if (index % 500 === 0) await new Promise(setImmediate);
  }
  t.strictSame(told, [], 'not while there is none');

  const chunks: Buffer[] = [];
  const text = () => Buffer.concat(chunks).toString();
  const readOn = async () => {
    const { buffer, bytesRead } = await reading.read(Buffer.alloc(65_536));
    chunks.push(buffer.subarray(0, bytesRead));
  };
  while (!text().includes(line(count))) await readOn();
  const indexes = indexesIn(text());
  t.strictSame(
    indexes,
    indexes.toSorted((a, b) => a - b),
    'in order, and whole',
  );
  t.equal(indexes.length + (told[0] ?? 0), count + 1);
  t.ok(indexes.length < 5000, 'no more than there is room for');
  t.equal(told.length, 1);
});

t.test('what a slow reader has not taken yet is waited for, for a second', async (t) => {
  const { reading, output } = await openPipe(t);
  const log = openLogOutput({ output, tell: () => {} });
  for (let index = 0; index < 3000; index += 1) log.write(line(index));
  const drained = log.drained();
  let text = '';
  while (!text.includes(line(2999))) {
    const { buffer, bytesRead } = await reading.read(Buffer.alloc(65_536));
    text += buffer.subarray(0, bytesRead).toString();
  }
  await drained;
  for (let index = 0; index < 3000; index += 1) log.write(line(index));
  await log.drained();
  t.equal(indexesIn(text).length, 3000, 'whoever does not read does without');
});

t.test('so is what has come while it was slow, and nothing else is written meanwhile', async (t) => {
  const { reading, output } = await openPipe(t);
  const log = openLogOutput({ output, tell: () => {} });
  let text = '';
  async function readUntil(last: number): Promise<void> {
    while (!text.includes(line(last))) {
      const { buffer, bytesRead } = await reading.read(Buffer.alloc(65_536));
      text += buffer.subarray(0, bytesRead).toString();
    }
  }
  for (let index = 0; index < 3000; index += 1) log.write(line(index));
  await new Promise(setImmediate);
  for (let index = 3000; index < 6000; index += 1) log.write(line(index));
  await readUntil(2999);
  await eventually('the second half is being written', () => output.writableLength > 0);
  const underWay = output.writableLength;
  log.write(line(6000));
  let isDrained = false;
  const drained = log.drained().then(() => {
    isDrained = true;
  });
  for (let turn = 0; turn < 10; turn += 1) await new Promise(setImmediate);
  t.notOk(isDrained);
  t.ok(output.writableLength <= underWay, 'what has come since waits outside of the pipe');
  await readUntil(6000);
  await drained;
  t.strictSame(
    indexesIn(text),
    Array.from({ length: 6001 }, (_, index) => index),
  );
});

t.test('a pipe whose reader has gone ends nothing', async (t) => {
  const { reading, output } = await openPipe(t);
  const log = openLogOutput({ output, tell: () => t.fail('there is nobody to tell') });
  log.write(line(1));
  await reading.read(Buffer.alloc(1000));
  await reading.close();
  log.write(line(2));
  await eventually('it has noticed', () => output.destroyed);
  log.write(line(3));
});

t.test('a file gets every line, in order', async (t) => {
  const path = join(t.testdir(), 'log');
  const file = await open(path, 'a');
  t.teardown(() => file.close());
  const log = openLogOutput({ output: outputTo(file), tell: () => t.fail('none is dropped') });
  for (let index = 0; index < 5000; index += 1) log.write(line(index));
  await eventually('they are written', async () => (await readFile(path, 'utf8')).endsWith(line(4999)));
  t.strictSame(
    indexesIn(await readFile(path, 'utf8')),
    Array.from({ length: 5000 }, (_, index) => index),
  );
});

t.test('a line that a full disk has cut off is lost alone', async (t) => {
  const path = join(t.testdir(), 'log');
  const file = await open(path, 'a');
  t.teardown(() => file.close());
  const output = outputTo(file);
  const log = openLogOutput({ output, tell: () => {} });
  const { writeSync } = fs;
  // Half of it fits.
  fs.writeSync = ((fd: number, data: Buffer) => {
    fs.writeSync = () => {
      throw Object.assign(new Error('no space left on device'), { code: 'ENOSPC' });
    };
    syncBuiltinESMExports();
    return writeSync(fd, data.subarray(0, 20));
  }) as typeof fs.writeSync;
  syncBuiltinESMExports();
  log.write(line(1));
  await log.drained();
  Object.assign(fs, { writeSync });
  syncBuiltinESMExports();
  log.write(line(2));
  await log.drained();
  const [cutOff, ...lines] = (await readFile(path, 'utf8')).split('\n');
  t.equal(cutOff?.length, 20);
  t.strictSame(indexesIn(lines.join('\n')), [2]);
});

t.test('a full disk ends nothing, and how many lines were lost is told when it has room again', async (t) => {
  const path = join(t.testdir(), 'log');
  const [full, roomy] = [await open('/dev/full', 'w'), await open(path, 'a')];
  t.teardown(() => Promise.all([full.close(), roomy.close()]));
  const output = outputTo(full);
  const told: number[] = [];
  const log = openLogOutput({ output, tell: (dropped) => told.push(dropped) });
  let written = 0;
  const write = () => log.write(line(written++));
  while (written < 1000) {
    write();
    if (written % 100 === 0) await full.stat();
  }
  t.strictSame(told, []);
  Object.assign(output, { fd: roomy.fd });
  await eventually('there is room', () => {
    write();
    return told.length > 0;
  });
  const lost = told[0] ?? 0;
  t.ok(lost >= 900, `${lost} are lost`);
  await eventually('the others are written', async () => indexesIn(await readFile(path, 'utf8')).length === written - lost);
});
