interface LookUp<Result> {
  readonly running: Promise<Result>;
  next?: Promise<Result>;
}

/**
 * Has at most one look-up of a key under way, however many ask at once: a flood of requests of one session would else
 * have all connections to itself.
 *
 * Whoever asks while one is under way shares the next, and not that one, so that no answer is older than its question.
 *
 * @param find its failures are those of all who share it
 */
export function shareLookups<Result>(find: (key: string) => Promise<Result>): (key: string) => Promise<Result> {
  const underWay = new Map<string, LookUp<Result>>();

  function start(key: string): Promise<Result> {
    const entry: LookUp<Result> = { running: find(key) };
    underWay.set(key, entry);
    const settle = () => {
      if (entry.next === undefined) underWay.delete(key);
    };
    entry.running.then(settle, settle);
    return entry.running;
  }

  return function look(key) {
    const entry = underWay.get(key);
    if (entry === undefined) return start(key);
    const again = () => start(key);
    entry.next ??= entry.running.then(again, again);
    return entry.next;
  };
}
