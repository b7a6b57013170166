/** How often something may be done in a window of time, by whom or to whom. */
export interface Limit {
  readonly name: string;
  /** What clients read in the `RateLimit` fields. */
  readonly shownAs: string;
  readonly max: number;
  readonly windowSeconds: number;
}

const minute = 60;
const hour = 3600;
const day = 24 * hour;

/** A number of uses in a window, by the name that it has among the others. */
function limit(name: string, max: number, windowSeconds: number, shownAs = name): Limit {
  return { name, shownAs, max, windowSeconds };
}

/**
 * Requests that were well-formed, whatever became of them: from one network, and of those that it may send, from the
 * wider one around it.
 */
export const requestLimits = {
  registration: { network: limit('registration', 200, hour), wideNetwork: limit('registration-wide', 1000, hour) },
  login: { network: limit('login', 300, 5 * minute), wideNetwork: limit('login-wide', 3000, 5 * minute) },
  password: { network: limit('password', 300, 5 * minute), wideNetwork: limit('password-wide', 3000, 5 * minute) },
  forgot: { network: limit('forgot', 200, hour), wideNetwork: limit('forgot-wide', 1000, hour) },
} as const satisfies Record<string, { network: Limit; wideNetwork: Limit }>;

export type RequestLimitName = keyof typeof requestLimits;

/** Wrong passwords. Whoever knows the right one is not counted. */
export const passwordLimits = {
  /** For one account, from a network that it has been logged in to from before; shown as the next, so that it does not tell that. */
  known: [limit('password-known', 50, 15 * minute, 'password-account'), limit('password-known-day', 100, day, 'password-account-day')],
  /** For one address or user name, whether or not there is such an account, from all other networks together. */
  account: [limit('password-account', 50, 15 * minute), limit('password-account-day', 100, day)],
  network: [limit('password-network', 100, 15 * minute)],
  wideNetwork: [limit('password-network-wide', 300, 15 * minute)],
  /** From one network at all accounts that it is known for, which these do not count in its other limits. */
  knownNetwork: [limit('password-network-known', 300, 15 * minute)],
  /** In one session. */
  session: [limit('password-session', 30, day)],
} as const satisfies Record<string, readonly Limit[]>;

/** Mailed tokens that are not genuine, from one network. */
export const tokenLimit = limit('token', 100, 15 * minute);

/** Mails to an address that nobody has confirmed, whoever asks for them. */
export const recipientLimits = {
  /** For an account of that address. */
  account: [limit('recipient', 10, hour), limit('recipient-day', 20, day)],
  /** For accounts that want to have it: apart, so that they cannot use up what its owner needs to register. */
  change: [limit('recipient-change', 5, hour), limit('recipient-change-day', 10, day)],
  /**
   * By which its owner takes an account back that somebody else has opened: apart, so that who did cannot use them up by other
   * mails. None a day: whoever uses those of an hour up would keep the owner waiting for the rest of the day.
   */
  reset: [limit('recipient-reset', 10, hour)],
  /** To the aliases of a mailbox, which have no end. */
  resetOfAliases: [limit('recipient-reset', 10, hour), limit('recipient-reset-day', 20, day)],
} as const satisfies Record<string, readonly Limit[]>;

/** Questions of one account for another address, and for another name, each of which tells whether it is taken. */
export const emailChangeLimit = limit('email-change', 10, hour);
export const usernameLimit = limit('username', 20, hour);

/** Password changes of one account; each is a mail, too. */
export const passwordChangeLimit = limit('password-change', 30, hour);

/** Exports of one account, each of which reads all that there is of it. */
export const exportLimit = limit('export', 10, hour);
