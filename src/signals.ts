/** What people, and supervisors, end a process by. */
export const endings = ['SIGINT', 'SIGTERM'] as const;
type Ending = (typeof endings)[number];

/** A terminal tells npm and what npm runs, and npm passes it on: one key comes as two signals. */
const echoWithinMs = 250;

/**
 * Listens to what is to end the process, from now on.
 *
 * @param told called with the first signal, and with each later one that is no mere echo of it
 */
export function listenToEndings(told: (signal: Ending, isFirst: boolean) => void): void {
  let first: { readonly signal: Ending; readonly at: number } | undefined;
  for (const signal of endings) {
    process.on(signal, () => {
      const at = performance.now();
      const isFirst = first === undefined;
      first ??= { signal, at };
      if (isFirst || signal !== first.signal || at - first.at > echoWithinMs) told(signal, isFirst);
    });
  }
}
