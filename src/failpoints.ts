/** Moments after which a crash would be most awkward. */
export type Failpoint = 'account inserted' | 'account committed' | 'mail claimed' | 'mail accepted';

/** Told, and waited for, when a moment is reached. Only tests of faults hand one in; the service knows it as optional. */
export type Failpoints = (point: Failpoint) => void | Promise<void>;

/** Tells the observer, if there is one. */
export async function reach(failpoints: Failpoints | undefined, point: Failpoint): Promise<void> {
  if (failpoints !== undefined) await failpoints(point);
}
