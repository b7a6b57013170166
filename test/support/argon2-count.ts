import { createRequire } from 'node:module';

/** One use of argon2, with its parameters as a hash names them. */
export interface Argon2Use {
  readonly kind: 'hash' | 'verify';
  readonly parameters: string;
}

/**
 * What this process has asked argon2 for, under everything that the service has of its own. To be imported before
 * whatever imports the service.
 */
export const argon2Uses: Argon2Use[] = [];

const library = createRequire(import.meta.url)('@node-rs/argon2');
const { hash, verify } = library;

library.hash = (password: string, options: { memoryCost: number; timeCost: number; parallelism: number }) => {
  const { memoryCost, timeCost, parallelism } = options;
  argon2Uses.push({ kind: 'hash', parameters: `m=${memoryCost},t=${timeCost},p=${parallelism}` });
  return hash(password, options);
};
library.verify = (passwordHash: string, password: string) => {
  argon2Uses.push({ kind: 'verify', parameters: passwordHash.split('$')[3] ?? '' });
  return verify(passwordHash, password);
};

/** What a piece of work uses argon2 for. */
export async function argon2UsesOf<Result>(work: () => Promise<Result>): Promise<{ result: Result; uses: Argon2Use[] }> {
  const before = argon2Uses.length;
  const result = await work();
  return { result, uses: argon2Uses.slice(before) };
}
