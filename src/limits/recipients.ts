import type { Clock } from '../clock.ts';
import type { Queryable } from '../db/database.ts';
import { changeOf, type LimitKey } from './limiter.ts';
import { recipientLimits } from './limits.ts';
import { changeCounters } from './postgres-counters.ts';

/** Keeps addresses that nobody has confirmed, and that may be strangers', from being flooded with mails. */
export interface Recipients {
  /**
   * Counts one more mail to an address, whichever account asks for it, in the transaction that queues it.
   *
   * @param reason whether the account has that address, or wants to have it
   * @returns the seconds until there may be one; 0 when it may be now
   */
  countMail(tx: Queryable, emailCanonical: string, reason?: keyof typeof recipientLimits): Promise<number>;
}

interface Needs {
  readonly clock: Clock;
  readonly limitKey: LimitKey;
  readonly isOn: boolean;
}

export function createRecipients({ clock, limitKey, isOn }: Needs): Recipients {
  return {
    async countMail(tx, emailCanonical, reason = 'account') {
      if (!isOn) return 0;
      const subject = mailboxOf(emailCanonical);
      const counted = recipientLimits[reason].map((limit) => ({ limit, change: changeOf(limitKey, { limit, subject }) }));
      const changes = counted.map(({ change }) => change);
      const counters = await changeCounters(tx, changes, clock);
      const waits = counted.map(({ limit, change }) => {
        const { used = 0, resetsInSeconds = 0 } = counters.get(change.key) ?? {};
        return used > limit.max ? resetsInSeconds : 0;
      });
      return Math.max(...waits);
    },
  };
}

/** Most providers put what is sent to `ada+anything` into the mailbox of `ada` (RFC 5233). */
function mailboxOf(emailCanonical: string): string {
  return emailCanonical.replace(/^([^+@]+)\+[^@]*@/, '$1@');
}
