import { randomInt } from 'node:crypto';
import { setImmediate } from 'node:timers/promises';
import { and, asc, eq, gt } from 'drizzle-orm';
import type { FastifyBaseLogger } from 'fastify';
import { v7 as timeOrderedUuid } from 'uuid';
import { parseEmail } from '../credentials/email.ts';
import type { Queryable } from '../db/database.ts';
import { mails, resetRequests } from '../db/schema.ts';
import { quietSeconds } from '../identity/disowned-addresses.ts';
import { type Origin, originColumns, recordEvent } from '../identity/events.ts';
import { findUserByEmail, linkState, lockUser, type UserRow } from '../identity/users.ts';
import { enqueueMail } from '../mail/outbox.ts';
import { createRepeater } from '../repeater.ts';
import type { Services } from '../services.ts';

type Needs = Pick<Services, 'clock' | 'config' | 'db' | 'limits' | 'wakeMail' | 'worksInBackground'>;

/** Takes requests for a mail that resets a password. */
export interface ResetRequests {
  /**
   * Keeps a request; once this is done it survives a crash. It has not been looked at whether there is an account: the
   * same is done for every address, in the same time (ASVS 6.3.8).
   *
   * @param email one that the service accepts
   */
  accept(email: string, origin: Origin): Promise<void>;
  close(): Promise<void>;
}

/** To one account, whoever asks; requests beyond are answered like any other. */
const mailsAnHour = 3;
const hourMs = 3600 * 1000;
/** How often it looks for what another instance, or a former life of this one, left behind. */
const lookEveryMs = 10_000;
/** So much later, at random, than the request: what is done for a known address must not slow down the next answer. */
const delayMs = { min: 50, max: 400 };

export function createResetRequests(services: Needs, log: FastifyBaseLogger): ResetRequests {
  const { clock, db } = services;
  const answering = createRepeater({
    work: async (isClosing) => {
      while (!isClosing() && (await answerOldest(services))) await setImmediate();
    },
    everyMs: lookEveryMs,
    log,
    complaint: 'requests for another password cannot be looked at',
  });

  if (services.worksInBackground) answering.wake(0);

  return {
    async accept(email, origin) {
      const requestedAt = clock.now();
      const id = timeOrderedUuid({ msecs: requestedAt.getTime() });
      const emailCanonical = parseEmail(email)?.canonical ?? email;
      const request = { id, emailCanonical, requestedAt, ...originColumns(origin) };
      await db.insert(resetRequests).values(request);
      answering.wake(randomInt(delayMs.min, delayMs.max));
    },
    close: answering.close,
  };
}

/** Turns the oldest request into a mail, if there is an account that may have one. Answers whether there was a request. */
async function answerOldest(services: Needs): Promise<boolean> {
  const { clock, db, wakeMail } = services;
  const wasThere = await db.transaction(async (tx) => {
    const oldest = tx.select({ id: resetRequests.id }).from(resetRequests).orderBy(asc(resetRequests.requestedAt)).limit(1);
    const [request] = await tx
      .delete(resetRequests)
      .where(eq(resetRequests.id, oldest.for('update', { skipLocked: true })))
      .returning();
    if (request === undefined) return false;
    const user = await lockRecipient(tx, request.emailCanonical);
    if (user === undefined || !(await mayHaveAnother(services, tx, user))) return true;
    const { ip, userAgent } = request;
    const origin = ip === null ? undefined : { ip, userAgent: userAgent ?? undefined };
    await recordEvent(tx, user.id, 'password_reset_requested', origin, clock);
    const state = linkState['password-reset'](user);
    await enqueueMail(tx, { userId: user.id, kind: 'password_reset', recipient: user.email, state }, clock);
    return true;
  });
  wakeMail();
  return wasThere;
}

/** Whoever has the address now, locked, so that parallel requests count each other's mails. */
async function lockRecipient(tx: Queryable, emailCanonical: string): Promise<UserRow | undefined> {
  const found = await findUserByEmail(tx, emailCanonical);
  const user = found && (await lockUser(tx, found.id));
  return user?.emailCanonical === emailCanonical && user.disabledAt === null ? user : undefined;
}

async function mayHaveAnother({ clock, config, limits }: Needs, tx: Queryable, user: UserRow): Promise<boolean> {
  if (!config.rateLimit) return true;
  if (user.confirmedAt === null && (await quietSeconds(tx, user.emailCanonical, clock.now())) > 0) return false;
  const since = new Date(clock.now().getTime() - hourMs);
  const isRecent = and(eq(mails.userId, user.id), eq(mails.kind, 'password_reset'), gt(mails.createdAt, since));
  if ((await tx.$count(mails, isRecent)) >= mailsAnHour) return false;
  return user.confirmedAt !== null || (await limits.recipients.countMail(tx, user.emailCanonical, 'reset')) === 0;
}
