import type { Lifetime } from '../../support/lifetime.ts';

/** The lifetime of a run, which is no test: what was acquired last is given back first. */
export interface Run extends Lifetime {
  /** Waits until all is given back, whoever has asked for it first. */
  end(): Promise<void>;
}

export function beginRun(): Run {
  const handlers: (() => unknown)[] = [];
  let ending: Promise<void> | undefined;

  async function giveBack(): Promise<void> {
    for (let handler = handlers.pop(); handler !== undefined; handler = handlers.pop()) await handler();
  }

  return {
    teardown: (handler) => void handlers.push(handler as () => unknown),
    end() {
      ending ??= giveBack();
      return ending;
    },
  };
}
