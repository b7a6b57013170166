import { setImmediate } from 'node:timers/promises';
import { asc, eq } from 'drizzle-orm';
import type { Queryable } from '../db/database.ts';
import { knownNetworks, mails, sessions } from '../db/schema.ts';
import { type Event, presentEvent } from '../identity/event-schema.ts';
import { findEvents, findEventsBetween } from '../identity/events.ts';
import { requireUser } from '../identity/users.ts';
import type { AccountExport } from './schemas.ts';

/** Events that are in memory at a time: up to 150 KB of the answer. */
const pageLength = 200;

/** All that is stored about a user, but for the events, of which there may be hundreds of thousands. */
interface GatheredAccount {
  /** Without events. */
  readonly document: AccountExport;
  /** The events that belong there, oldest first, read as they are asked for. */
  readonly eventPages: AsyncIterable<readonly Event[]>;
}

const iso = (time: Date | null) => time?.toISOString() ?? null;

/**
 * Gathers all that is stored about a user (GDPR, article 15), oldest first, as it is at one moment.
 *
 * Events are read later, up to the last one of that moment, and not in its transaction: a client that reads slowly would
 * hold a connection for as long. None is ever changed, and the oldest alone are deleted, unless the whole account is.
 *
 * @throws Problem `unauthenticated` when the account has gone since the session was checked
 */
export async function gatherAccount(db: Queryable, userId: string, now: Date): Promise<GatheredAccount> {
  return db.transaction(
    async (tx) => {
      const user = await requireUser(tx, userId);
      const ownSessions = await tx.select().from(sessions).where(eq(sessions.userId, userId)).orderBy(asc(sessions.id));
      const [lastEvent] = await findEvents(tx, userId, { limit: 1 });
      const ownMails = await tx.select().from(mails).where(eq(mails.userId, userId)).orderBy(asc(mails.id));
      const ownNetworks = await tx
        .select()
        .from(knownNetworks)
        .where(eq(knownNetworks.userId, userId))
        .orderBy(asc(knownNetworks.lastUsedAt));
      const { id, email, username, role, locale, pendingEmail } = user;
      const document: AccountExport = {
        exportedAt: now.toISOString(),
        account: {
          ...{ id, email, username, role, locale, pendingEmail },
          createdAt: user.createdAt.toISOString(),
          confirmedAt: iso(user.confirmedAt),
          pendingEmailSince: iso(user.pendingEmailSince),
        },
        sessions: ownSessions.map(presentSession),
        knownNetworks: ownNetworks.map(({ network, lastUsedAt }) => ({ network, lastUsedAt: lastUsedAt.toISOString() })),
        events: [],
        mails: ownMails.map(presentMail),
      };
      return { document, eventPages: readEvents(db, userId, lastEvent?.id) };
    },
    { isolationLevel: 'repeatable read' },
  );
}

/** @throws Problem `unauthenticated` when the account is not there any more, so that what is left is not taken for all */
async function* readEvents(db: Queryable, userId: string, last: string | undefined): AsyncGenerator<readonly Event[]> {
  let after: string | undefined;
  while (last !== undefined && after !== last) {
    const page = await findEventsBetween(db, userId, { after, last, limit: pageLength });
    after = page.at(-1)?.id;
    // The purge may have come as far as here.
    if (after === undefined) return void (await requireUser(db, userId));
    yield page.map(presentEvent);
    // The embedded database answers without leaving the turn of the loop to anybody else.
    await setImmediate();
  }
}

function presentSession(session: typeof sessions.$inferSelect): AccountExport['sessions'][number] {
  return {
    id: session.id,
    createdAt: session.createdAt.toISOString(),
    lastUsedAt: session.lastUsedAt.toISOString(),
    idleExpiresAt: session.idleExpiresAt.toISOString(),
    expiresAt: session.expiresAt.toISOString(),
    rememberMe: session.rememberMe,
    ip: session.ip,
    userAgent: session.userAgent,
  };
}

function presentMail({ id, kind, recipient, status, createdAt, settledAt }: typeof mails.$inferSelect): AccountExport['mails'][number] {
  return { id, kind, recipient, status, createdAt: createdAt.toISOString(), settledAt: iso(settledAt) };
}
