import type { Clock } from '../clock.ts';
import type { Queryable } from '../db/database.ts';
import type { Change, Counter } from './counters.ts';
import { type Claim, changeOf, type LimitKey } from './limiter.ts';
import { type Limit, recipientLimits } from './limits.ts';
import { changeCounters, readCounters } from './postgres-counters.ts';

/** Keeps addresses that nobody has confirmed, and that may be strangers', from being flooded with mails. */
export interface Recipients {
  /**
   * Counts one more mail to an address, whichever account asks for it, in the transaction that queues it. No other
   * address uses up what a plain one may have; the aliases of a mailbox (`ada+x@`) share as much again.
   *
   * @param reason whether the account has that address or wants to have it, or the mail is to reset its password
   * @returns the seconds until there may be one; 0 when it may be now
   */
  countMail(tx: Queryable, emailCanonical: string, reason?: Reason): Promise<number>;
  /** What {@link Recipients.countMail} would answer now; counts nothing. */
  secondsToWait(db: Queryable, emailCanonical: string, reason?: Reason): Promise<number>;
}

type Reason = 'account' | 'change' | 'reset';

interface Needs {
  readonly clock: Clock;
  readonly limitKey: LimitKey;
  readonly isOn: boolean;
}

export function createRecipients({ clock, limitKey, isOn }: Needs): Recipients {
  return {
    async countMail(tx, emailCanonical, reason = 'account') {
      if (!isOn) return 0;
      const claims = claimsOf(emailCanonical, reason);
      const changes = claims.map((claim) => changeOf(limitKey, claim));
      const counters = await changeCounters(tx, changes, clock);
      const wait = longestWait(claims, counters, ({ limit, used }) => used > limit.max);
      // What is refused is no mail: not every caller's transaction rolls back with it.
      if (wait > 0) await changeCounters(tx, changes.map(givenBack), clock);
      return wait;
    },

    async secondsToWait(db, emailCanonical, reason = 'account') {
      if (!isOn) return 0;
      const claims = claimsOf(emailCanonical, reason);
      const counters = await readCounters(db, claims.map(limitKey), clock);
      return longestWait(claims, counters, ({ limit, used }) => used >= limit.max);
    },
  };

  function longestWait(
    claims: readonly Claim[],
    counters: ReadonlyMap<string, Counter>,
    isExhausted: (use: { limit: Limit; used: number }) => boolean,
  ): number {
    const waits = claims.map((claim) => {
      const { used = 0, resetsInSeconds = 0 } = counters.get(limitKey(claim)) ?? {};
      // No longer than its window, when the database's clock has been put back.
      return isExhausted({ limit: claim.limit, used }) ? Math.min(resetsInSeconds, claim.limit.windowSeconds) : 0;
    });
    return Math.max(...waits);
  }
}

function claimsOf(emailCanonical: string, reason: Reason): Claim[] {
  const subject = counterOf(emailCanonical);
  const limits = recipientLimits[reason === 'reset' && subject.includes('+@') ? 'resetOfAliases' : reason];
  return limits.map((limit) => ({ limit, subject }));
}

function givenBack(change: Change): Change {
  return { ...change, by: -change.by };
}

/**
 * Whom mails to an address are counted for: the address, or all aliases of its mailbox together. Most providers put what
 * is sent to `ada+anything` into the mailbox of `ada` (RFC 5233).
 *
 * Aliases have no end, so that one counter for each would be no limit for the mailbox; and anybody can invent some, so
 * that they must not use up what the owner of the plain address needs. An owner whose address is an alias can be kept
 * waiting by others of the mailbox: nothing tells which of them are theirs.
 */
function counterOf(emailCanonical: string): string {
  return emailCanonical.replace(/^([^+@]+)\+[^@]*@/, '$1+@');
}
