import type { FastifyBaseLogger } from 'fastify';

/** Does some work again and again, never twice at the same time, until it is closed. */
export interface Repeater {
  /** Does it after so long, and not only when its turn comes. */
  wake(delayMs: number): void;
  /** Waits for what is under way. */
  close(): Promise<void>;
}

interface RepeaterOptions {
  /** @param isClosing whether it is to come to an end as soon as it can */
  readonly work: (isClosing: () => boolean) => Promise<unknown>;
  readonly everyMs: number;
  readonly log: FastifyBaseLogger;
  /** What the log says when it fails; it is done again all the same. */
  readonly complaint: string;
}

export function createRepeater({ work, everyMs, log, complaint }: RepeaterOptions): Repeater {
  let underWay: Promise<void> | undefined;
  let alarm: NodeJS.Timeout | undefined;
  let isWanted = false;
  let closed = false;

  function run(): void {
    if (underWay !== undefined) return;
    isWanted = false;
    underWay = work(() => closed)
      .then(
        () => {},
        (err: unknown) => log.warn({ err }, complaint),
      )
      .finally(() => {
        underWay = undefined;
        if (isWanted && !closed) run();
      });
  }

  const timer = setInterval(run, everyMs).unref();
  return {
    wake(delayMs) {
      if (closed) return;
      alarm ??= setTimeout(() => {
        alarm = undefined;
        // What is under way may have looked already.
        isWanted = underWay !== undefined;
        if (!isWanted) run();
      }, delayMs).unref();
    },
    async close() {
      closed = true;
      clearInterval(timer);
      clearTimeout(alarm);
      await underWay;
    },
  };
}
