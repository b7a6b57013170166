import type { FastifyRequest } from 'fastify';
import type { Clock } from '../clock.ts';
import type { PasswordHasher } from '../credentials/password-hashing.ts';
import { originOf } from '../http/origin.ts';
import type { EventBuffer } from '../identity/event-buffer.ts';
import type { UserRow } from '../identity/users.ts';
import type { Limits } from '../limits/create-limits.ts';
import { Problem } from '../problems/problem.ts';
import { type Guard, unauthenticated } from './plugin.ts';

interface Needs {
  readonly clock: Clock;
  readonly eventBuffer: EventBuffer;
  readonly guard: Guard;
  readonly hasher: PasswordHasher;
  readonly limits: Pick<Limits, 'passwords'>;
}

/**
 * Makes sure that whoever comes with a mailed link is the owner of its account: by their session, or by the password
 * that stands in for one on another device. The link alone proves nothing but that a mail was read (ASVS 6.6.2).
 *
 * @throws Problem `unauthenticated` without a session, `wrong_account` with the session of somebody else
 * @throws Problem `invalid_credentials` for a wrong password, and for a disabled account
 * @throws Problem `rate_limited` after too many of them
 */
export async function requireLinkOwner(services: Needs, owner: UserRow, request: FastifyRequest, password?: string): Promise<void> {
  const { clock, eventBuffer, guard, hasher, limits } = services;
  if (password !== undefined) {
    const origin = originOf(request);
    const attempt = { origin, account: owner.emailCanonical, user: owner };
    const isRight = async () => (await hasher.verify(owner.passwordHash, password)) && owner.disabledAt === null;
    if (await limits.passwords.check(attempt, isRight)) return;
    eventBuffer.note({ userId: owner.id, type: 'login_failed', at: clock.now(), agent: origin });
    throw new Problem('invalid_credentials');
  }
  const found = await guard.findSession(request);
  if (found === null) throw unauthenticated(request);
  if (found.userId !== owner.id) throw new Problem('wrong_account');
}
