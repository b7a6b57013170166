import { randomBytes } from 'node:crypto';
import { hash, type Options, verify } from '@node-rs/argon2';
import type { PasswordConfig } from '../config.ts';
import { createPermits, type Permits } from './permits.ts';

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
   * Lets in a request of somebody who is not logged in, whose password will have to be hashed, before it costs anything.
   *
   * @throws Problem `service_unavailable` at once when too many others are there
   */
  admit<Result>(work: () => Promise<Result>): Promise<Result>;
  /** Tells whether a hash was made with weaker parameters than those in force. */
  needsRehash(passwordHash: string): boolean;
}

type HashingConfig = Omit<PasswordConfig, 'rangeUrl'>;

/** How many may wait for a permit, per permit: at some 20 ms each, the last of them has to wait for about a second. */
const waitersPerPermit = 48;

/** Creates a hasher with the configured parameters of argon2id (RFC 9106), the default of the library; one lane, since requests are the parallelism. */
export async function createPasswordHasher(config: HashingConfig, cores: number): Promise<PasswordHasher> {
  const options: Options = {
    memoryCost: config.argon2MemoryKib,
    timeCost: config.argon2Passes,
    parallelism: 1,
  };
  // One thread of the pool stays free for DNS and files (libuv shares it among them all).
  const size = Math.max(1, Math.min(cores, config.threads - 1));
  const permits: Permits = createPermits({ size, maxWaiting: size * waitersPerPermit });
  const decoy = await hash(randomBytes(16).toString('hex'), options);

  return {
    hash: (password) => permits.run(() => hash(normalized(password), options)),
    async verify(passwordHash, password) {
      const matches = await permits.run(() => verify(passwordHash ?? decoy, normalized(password)));
      return matches && passwordHash !== undefined;
    },
    admit: permits.admit,
    needsRehash: (passwordHash) => isWeaker(passwordHash, config),
  };
}

/** One spelling for what looks the same: systems differ in how they enter an accented letter (RFC 8265 §4.2.2, NFC). */
function normalized(password: string): string {
  return password.normalize('NFC');
}

function isWeaker(passwordHash: string, config: HashingConfig): boolean {
  const [, memory, passes] = /^\$argon2id\$v=19\$m=(\d+),t=(\d+),p=\d+\$/.exec(passwordHash) ?? [];
  return memory === undefined || Number(memory) < config.argon2MemoryKib || Number(passes) < config.argon2Passes;
}
