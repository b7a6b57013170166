import { randomBytes } from 'node:crypto';
import { hash, type Options, verify } from '@node-rs/argon2';
import type { PasswordConfig } from '../config.ts';
import type { Problem } from '../problems/problem.ts';
import { maxPasswordLength } from './password-length.ts';
import { createPermits, type Permits, type PermitUse } from './permits.ts';

/** Makes and checks password hashes, never more at a time than the machine can bear. */
export interface PasswordHasher {
  /**
   * Hashes a password with a salt of its own; equal passwords have different hashes.
   *
   * @returns a PHC string
   * @throws Problem `service_unavailable` when too many others are waiting
   */
  hash(password: string): Promise<string>;
  /**
   * Tells whether a password belongs to a hash. Without a hash it does the same work and says no, so that an
   * unknown account takes as long as a known one.
   *
   * @throws Problem `service_unavailable` when too many others are waiting
   */
  verify(passwordHash: string | undefined, password: string): Promise<boolean>;
  /**
   * Serves a request of somebody who is not logged in, whose password will have to be hashed. Waits its turn before it
   * costs anything: a crowd at the door leaves the database to those who are inside.
   *
   * @throws Problem `service_unavailable` at once when too many others are waiting
   */
  admit<Result>(work: () => Promise<Result>): Promise<Result>;
  /** What {@link admit} would refuse with at this moment, if it would: to be asked before a request is even read. */
  refusal(): Problem | undefined;
  /** How many are being hashed, of how many at most, and how many wait for it. */
  use(): PermitUse;
  /** Tells whether a hash was made with weaker parameters than those in force. */
  needsRehash(passwordHash: string): boolean;
}

type HashingConfig = Omit<PasswordConfig, 'rangeUrl'>;

/** How many may wait for a permit, per permit: at some 20 ms each, the last of them has to wait for about a second. */
const waitersPerPermit = 48;
/** How many requests are served at once, per permit: while one is at the database, the permit is for another. */
const requestsPerPermit = 3;

/** Creates a hasher with the configured parameters of argon2id (RFC 9106), the default of the library; one lane, since requests are the parallelism. */
export async function createPasswordHasher(config: HashingConfig, cores: number): Promise<PasswordHasher> {
  const options: Options = {
    memoryCost: config.argon2MemoryKib,
    timeCost: config.argon2Passes,
    parallelism: 1,
  };
  // One thread of the pool stays free for DNS and files (libuv shares it among them all).
  const size = Math.max(1, Math.min(cores, config.threads - 1));
  const maxWaiting = size * waitersPerPermit;
  const permits: Permits = createPermits({ size, maxWaiting });
  const requests: Permits = createPermits({ size: size * requestsPerPermit, maxWaiting });
  const decoy = await hash(randomBytes(16).toString('hex'), options);

  return {
    hash: (password) => permits.run(() => hash(normalized(password), options)),
    async verify(passwordHash, password) {
      const matches = await permits.run(() => verify(passwordHash ?? decoy, normalized(password)));
      return matches && passwordHash !== undefined;
    },
    admit: requests.run,
    refusal: requests.refusal,
    use: permits.use,
    needsRehash: (passwordHash) => isWeaker(passwordHash, config),
  };
}

/**
 * No accepted password is longer in any spelling, in UTF-16 units: a character has two of them at most, and spelling it
 * out makes at most four of each (UAX #15).
 */
const maxSpelledLength = 8 * maxPasswordLength;

/**
 * One spelling for what looks the same: systems differ in how they enter an accented letter (RFC 8265 §4.2.2, NFC).
 *
 * What is longer than any password is wrong in every spelling, and is left as it is: to sort thousands of accents takes
 * a time that grows with their square, in which the service does nothing else.
 */
function normalized(password: string): string {
  return password.length > maxSpelledLength ? password : password.normalize('NFC');
}

function isWeaker(passwordHash: string, config: HashingConfig): boolean {
  const [, memory, passes] = /^\$argon2id\$v=19\$m=(\d+),t=(\d+),p=\d+\$/.exec(passwordHash) ?? [];
  return memory === undefined || Number(memory) < config.argon2MemoryKib || Number(passes) < config.argon2Passes;
}
