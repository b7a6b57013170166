import { setTimeout as pause } from 'node:timers/promises';

/** Waits until something is true, looking again and again; fails when it has not become true within the time. */
export async function eventually(what: string, isTrue: () => Promise<boolean> | boolean, withinMs = 30_000): Promise<void> {
  const end = Date.now() + withinMs;
  while (!(await isTrue())) {
    if (Date.now() > end) throw new Error(`it did not happen in ${withinMs} ms: ${what}`);
    await pause(10);
  }
}
