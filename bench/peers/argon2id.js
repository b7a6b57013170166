import { hash, verify } from '@node-rs/argon2';

const options = {
  memoryCost: Number(process.env.ARGON2_MEMORY_KIB ?? 19_456),
  timeCost: Number(process.env.ARGON2_PASSES ?? 2),
  parallelism: 1,
};

/** Makes an argon2id hash with the library, the parameters and the defaults of Latchkey. */
export function hashPassword(password) {
  return hash(password, options);
}

/** Tells whether a password belongs to a hash. */
export function verifyPassword(passwordHash, password) {
  return verify(passwordHash, password);
}
