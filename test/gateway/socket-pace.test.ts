import t from 'tap';
import { keepPace } from '../../src/gateway/socket-pace.ts';

/** A WebSocket that writes nothing before it is told to. */
function createSocket() {
  const waiting: (() => void)[] = [];
  const write = (_data: Buffer, _how?: unknown, done?: (error?: Error) => void) => void waiting.push(() => done?.());
  return {
    ...{ OPEN: 1, readyState: 1, isPaused: false, send: write, ping: write, pong: write },
    pause() {
      this.isPaused = true;
    },
    resume() {
      this.isPaused = false;
    },
    close() {
      this.readyState = 2;
    },
    waiting,
    writeAll: () => waiting.splice(0).forEach((each) => void each()),
  };
}

t.test('messages that are empty count, and so do pings and answers to them', async (t) => {
  for (const kind of ['send', 'ping', 'pong'] as const) {
    const [one, other] = [createSocket(), createSocket()];
    keepPace(one, other);
    let sent = 0;
    for (; sent < 10_000 && !one.isPaused; sent += 1) other[kind](Buffer.alloc(0));
    t.ok(one.isPaused, `${sent} times ${kind}`);
    t.notOk(other.isPaused, 'what is sent to one says nothing of what is sent to the other');
    other.writeAll();
    t.notOk(one.isPaused);
  }
});

t.test('whoever sends to one that is about to end is read on, since its own end is to be heard', async (t) => {
  const [one, other] = [createSocket(), createSocket()];
  keepPace(one, other);
  other.readyState = 2;
  other.send(Buffer.alloc(2 * 1024 * 1024));
  t.notOk(one.isPaused);
});

t.test('one that is closed from here is read on, for its answer, and what it sends before that is dropped', async (t) => {
  const [one, other] = [createSocket(), createSocket()];
  keepPace(one, other);
  other.send(Buffer.alloc(2 * 1024 * 1024));
  t.ok(one.isPaused);
  one.close();
  t.notOk(one.isPaused);
  let isTold = false;
  other.send(Buffer.alloc(2 * 1024 * 1024), {}, () => {
    isTold = true;
  });
  t.ok(isTold);
  t.equal(other.waiting.length, 1, 'what came before is written');
  t.notOk(one.isPaused);
});

t.test('whoever asks to be told that something is written, is told', async (t) => {
  const [one, other] = [createSocket(), createSocket()];
  keepPace(one, other);
  let isTold = false;
  other.pong(Buffer.from('x'), true, () => {
    isTold = true;
  });
  other.writeAll();
  t.ok(isTold);
});
