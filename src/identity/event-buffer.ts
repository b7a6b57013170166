import type { FastifyBaseLogger } from 'fastify';
import type { Queryable } from '../db/database.ts';
import { isDatabaseUnavailable } from '../db/unavailable.ts';
import { createRepeater } from '../repeater.ts';
import { type Happening, type NotedHappening, noted, recordHappenings } from './events.ts';

/**
 * Records what no transaction tells of, such as a failed login, soon after: so that the answer takes as long as one
 * that has nothing to record, and a flood of them costs one transaction a second. A crash may lose what is in it.
 */
export interface EventBuffer {
  note(happening: Happening): void;
  /** Records what is left. */
  close(): Promise<void>;
}

const flushIntervalMs = 1000;
/** What comes on top of this within one interval is counted, but not recorded. */
const capacity = 1000;

export function createEventBuffer({ db, log }: { readonly db: Queryable; readonly log: FastifyBaseLogger }): EventBuffer {
  let buffered: NotedHappening[] = [];
  let order = 0;
  let dropped = 0;

  async function flush(): Promise<void> {
    const [happenings, lost] = [buffered, dropped];
    [buffered, dropped] = [[], 0];
    if (lost > 0) log.warn({ lost }, 'more happened at once than is recorded');
    try {
      if (happenings.length > 0) await recordHappenings(db, happenings);
    } catch (err) {
      const canWait = isDatabaseUnavailable(err);
      // Until the database is back; the oldest first, as far as there is room. It may have recorded them, and not have said so.
      if (canWait) buffered = [...happenings, ...buffered].slice(0, capacity);
      log.error({ err, lost: canWait ? 0 : happenings.length }, 'what happened cannot be recorded');
    }
  }

  const flushing = createRepeater({ work: flush, everyMs: flushIntervalMs, log, complaint: 'what happened cannot be recorded' });
  return {
    note(happening) {
      order = (order + 1) % 2 ** 32;
      if (buffered.length < capacity) buffered.push(noted(happening, order));
      else dropped += 1;
    },
    async close() {
      await flushing.close();
      await flush();
    },
  };
}
