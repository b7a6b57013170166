import type { Evidence } from './evidence.ts';
import { leavesDataUnanswered } from './faults.ts';
import { groupBy } from './group.ts';
import type { Copy } from './sink.ts';

/** A mail that came once more. */
export interface Duplicate extends Pick<Copy, 'messageId' | 'at'> {
  /** Why that is allowed; undefined when it is not. */
  readonly excuse: 'crash' | 'unanswered' | undefined;
}

/** After it was taken, within this, its sender has noted that it is sent; or has died. */
const notedWithinMs = 5000;
/** Within this, the answer to it has arrived; or been cut off. */
const answeredWithinMs = 1000;

/** Each copy but the first of each mail, with what befell the copy before it; one death is no excuse for two of them. */
export function findDuplicates({ copies, deaths, faults }: Pick<Evidence, 'copies' | 'deaths' | 'faults'>): Duplicate[] {
  /** Until when its sender could not be answered, or not note that, since something else was broken, too. */
  function lastObstacle(at: number): number {
    const obstacles = faults.filter(({ kind, from, to }) => !kind.startsWith('instance: ') && from <= at + notedWithinMs && to >= at);
    return Math.max(at, ...obstacles.map(({ to }) => to));
  }

  function excuseOf({ at, isUnanswered }: Copy, spent: Set<number>): Duplicate['excuse'] {
    if (isUnanswered) return 'unanswered';
    const notedBy = notedWithinMs + lastObstacle(at);
    const death = deaths.find((time) => !spent.has(time) && time >= at - answeredWithinMs && time <= notedBy);
    if (death !== undefined) {
      spent.add(death);
      return 'crash';
    }
    const isCutOff = faults.some(
      ({ kind, from, to }) => leavesDataUnanswered(kind) && to >= at - answeredWithinMs && from <= at + answeredWithinMs,
    );
    return isCutOff ? 'unanswered' : undefined;
  }

  return [...groupBy(copies, ({ messageId }) => messageId).values()].flatMap((same) => {
    const spent = new Set<number>();
    return same.slice(1).map(({ messageId, at }, index) => ({ messageId, at, excuse: excuseOf(same[index] as Copy, spent) }));
  });
}
