import type { Test } from 'tap';

/** What ends, and gives back then what was acquired for it: a test, or a run that is none. */
export type Lifetime = Pick<Test, 'teardown'>;
