import type { Clock } from '../clock.ts';
import type { Queryable } from '../db/database.ts';
import { networkOf, wideNetworkOf } from '../http/network.ts';
import type { Origin } from '../identity/events.ts';
import { isKnownNetwork } from '../identity/known-networks.ts';
import type { UserRow } from '../identity/users.ts';
import type { Claim, Limiter } from './limiter.ts';
import { type Limit, passwordLimits } from './limits.ts';

/** An attempt to log in, or to use a link with a password. */
interface Attempt {
  readonly origin: Origin;
  /** Of whatever form the address or user name was typed in; counted alike whether or not there is such an account. */
  readonly account: string;
  /** Whose it is, if it is anybody's. */
  readonly user: Owner | undefined;
}

interface AttemptInSession {
  readonly origin: Origin;
  readonly user: Owner;
  readonly sessionId: string;
}

type Owner = Pick<UserRow, 'id' | 'credentialVersion'>;

/** Slows down whoever guesses passwords (ASVS 6.3.1), and nobody else. */
export interface PasswordAttempts {
  /**
   * Checks a password, and counts the attempt unless it was right.
   *
   * From a network that the account has been logged in to from, only wrong passwords from there count, so that nobody
   * can lock an owner out from elsewhere. All other networks share what is left for the account, and each has a
   * limit for all accounts together, against lists of stolen passwords.
   *
   * @param isRight does the work; not called when a limit is exhausted
   * @throws Problem `rate_limited`, the same for known and unknown accounts
   */
  check(attempt: Attempt, isRight: () => Promise<boolean>): Promise<boolean>;
  /** {@link check}, for a user who is logged in and shows once more that they know the password. */
  checkInSession(attempt: AttemptInSession, isRight: () => Promise<boolean>): Promise<boolean>;
}

interface Needs {
  readonly limiter: Limiter;
  readonly isOn: boolean;
  readonly db: Queryable;
  readonly clock: Clock;
  /** The digests under which a network may be known: one for each secret. */
  readonly networkDigests: (ip: string) => readonly string[];
}

export function createPasswordAttempts({ limiter, isOn, db, clock, networkDigests }: Needs): PasswordAttempts {
  async function counted(claims: readonly Claim[], isRight: () => Promise<boolean>): Promise<boolean> {
    const grant = await limiter.take(claims);
    // What could not be checked was no guess.
    const right = await isRight().catch((error: unknown) => {
      grant.giveBack();
      throw error;
    });
    if (right) grant.giveBack();
    return right;
  }

  // Guesses at an old password say nothing about the new one: a reset lets an owner in whose neighbours have guessed.
  const fromKnownNetwork = ({ id, credentialVersion }: Owner, { ip }: Origin) => [
    ...claimsOf(passwordLimits.known, `${id} ${credentialVersion} ${networkOf(ip)}`),
    ...claimsOf(passwordLimits.knownNetwork, networkOf(ip)),
  ];

  return {
    async check({ origin, account, user }, isRight) {
      if (!isOn) return isRight();
      // Asked for every account, so that it takes as long for those that are none.
      const isKnown = await isKnownNetwork(db, user?.id, networkDigests(origin.ip), clock.now());
      if (isKnown && user !== undefined) return counted(fromKnownNetwork(user, origin), isRight);
      const { account: perAccount, network, wideNetwork } = passwordLimits;
      const claims = [
        ...claimsOf(perAccount, account),
        ...claimsOf(network, networkOf(origin.ip)),
        ...claimsOf(wideNetwork, wideNetworkOf(origin.ip)),
      ];
      return counted(claims, isRight);
    },

    checkInSession: ({ origin, user, sessionId }, isRight) =>
      counted([...fromKnownNetwork(user, origin), ...claimsOf(passwordLimits.session, sessionId)], isRight),
  };
}

function claimsOf(limits: readonly Limit[], subject: string): Claim[] {
  return limits.map((limit) => ({ limit, subject }));
}
