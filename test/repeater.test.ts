import t, { type Test } from 'tap';
import { createRepeater } from '../src/repeater.ts';
import { eventually } from './support/eventually.ts';

const hourMs = 3600_000;

/** Work that goes on until it is told to end, and what was made of it. */
function startRepeater(t: Test, everyMs: number) {
  const state = { begun: 0, running: 0, most: 0 };
  const complaints: unknown[][] = [];
  const endings: { succeed(): void; fail(error: Error): void }[] = [];
  const work = async () => {
    state.begun += 1;
    state.running += 1;
    state.most = Math.max(state.most, state.running);
    await new Promise<void>((succeed, fail) => endings.push({ succeed, fail })).finally(() => {
      state.running -= 1;
    });
  };
  const log = { warn: (...words: unknown[]) => void complaints.push(words) };
  const repeater = createRepeater({ work, everyMs, log: log as never, complaint: 'it does not work' });
  t.teardown(() => {
    for (const { succeed } of endings) succeed();
    return repeater.close();
  });
  const begun = (count: number) => eventually(`it has begun ${count} times`, () => state.begun >= count);
  return { repeater, state, complaints, begun, end: (index: number) => endings[index] };
}

/** Whatever was due by now has been done. */
const turns = async (count: number) => {
  for (let turn = 0; turn < count; turn += 1) await new Promise((resolve) => setTimeout(resolve));
};

t.test('work is done again and again, never twice at the same time', async (t) => {
  const { state, begun, end } = startRepeater(t, 1);
  for (let index = 0; index < 4; index += 1) {
    await begun(index + 1);
    await turns(5);
    t.equal(state.begun, index + 1, 'the next one waits for the end of this');
    end(index)?.succeed();
  }
  await begun(5);
  t.equal(state.most, 1);
});

t.test('it goes on after a failure, and complains of it', async (t) => {
  const { complaints, begun, end } = startRepeater(t, 1);
  await begun(1);
  const error = new Error('once');
  end(0)?.fail(error);
  await begun(2);
  t.strictSame(complaints, [[{ err: error }, 'it does not work']]);
  end(1)?.succeed();
  await begun(3);
  t.equal(complaints.length, 1);
});

t.test('it can be woken before its turn, once for all who wake it', async (t) => {
  const { repeater, state, begun, end } = startRepeater(t, hourMs);
  await turns(3);
  t.equal(state.begun, 0, 'it does not begin by itself');
  for (let index = 0; index < 5; index += 1) repeater.wake(0);
  await begun(1);
  await turns(3);
  t.equal(state.begun, 1);
  end(0)?.succeed();
  await turns(3);
  t.equal(state.begun, 1);
  repeater.wake(0);
  await begun(2);
});

t.test('who wakes it while it works has it done again: it may have looked already', async (t) => {
  const { repeater, state, begun, end } = startRepeater(t, hourMs);
  repeater.wake(0);
  await begun(1);
  repeater.wake(0);
  await turns(5);
  t.equal(state.begun, 1, 'not at the same time');
  end(0)?.succeed();
  await turns(20);
  t.match(state, { begun: 2, most: 1 });
});

t.test('its end waits for what is under way, and nothing is begun after it', async (t) => {
  const { repeater, state, begun, end } = startRepeater(t, 1);
  await begun(1);
  let isClosed = false;
  const closing = repeater.close().then(() => {
    isClosed = true;
  });
  await turns(5);
  t.notOk(isClosed);
  end(0)?.succeed();
  await closing;
  await turns(5);
  t.equal(state.begun, 1);
});

t.test('who wakes it after its end begins nothing', async (t) => {
  const { repeater, state } = startRepeater(t, hourMs);
  await repeater.close();
  repeater.wake(0);
  await turns(5);
  t.equal(state.begun, 0);
});

t.test('it ends while it waits for its turn, and when it fails at last', async (t) => {
  const idle = startRepeater(t, hourMs);
  idle.repeater.wake(0);
  await idle.repeater.close();
  await turns(5);
  t.equal(idle.state.begun, 0);
  const failing = startRepeater(t, hourMs);
  failing.repeater.wake(0);
  await failing.begun(1);
  const closing = failing.repeater.close();
  failing.end(0)?.fail(new Error('at last'));
  await t.resolves(closing);
  t.equal(failing.complaints.length, 1);
});
