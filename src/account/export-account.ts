import { asc, eq } from 'drizzle-orm';
import type { Queryable } from '../db/database.ts';
import { events, knownNetworks, mails, sessions } from '../db/schema.ts';
import { presentEvent } from '../identity/event-schema.ts';
import { requireUser } from '../identity/users.ts';
import type { AccountExport } from './schemas.ts';

const iso = (time: Date | null) => time?.toISOString() ?? null;

/**
 * Gathers all that is stored about a user (GDPR, article 15), oldest first, as it is at one moment.
 *
 * @throws Problem `unauthenticated` when the account has gone since the session was checked
 */
export async function exportAccount(db: Queryable, userId: string, now: Date): Promise<AccountExport> {
  return db.transaction(
    async (tx) => {
      const user = await requireUser(tx, userId);
      const ownSessions = await tx.select().from(sessions).where(eq(sessions.userId, userId)).orderBy(asc(sessions.id));
      const ownEvents = await tx.select().from(events).where(eq(events.userId, userId)).orderBy(asc(events.id));
      const ownMails = await tx.select().from(mails).where(eq(mails.userId, userId)).orderBy(asc(mails.id));
      const ownNetworks = await tx
        .select()
        .from(knownNetworks)
        .where(eq(knownNetworks.userId, userId))
        .orderBy(asc(knownNetworks.lastUsedAt));
      const { id, email, username, role, locale, pendingEmail } = user;
      return {
        exportedAt: now.toISOString(),
        account: {
          ...{ id, email, username, role, locale, pendingEmail },
          createdAt: user.createdAt.toISOString(),
          confirmedAt: iso(user.confirmedAt),
          pendingEmailSince: iso(user.pendingEmailSince),
        },
        sessions: ownSessions.map((session) => ({
          id: session.id,
          createdAt: session.createdAt.toISOString(),
          lastUsedAt: session.lastUsedAt.toISOString(),
          idleExpiresAt: session.idleExpiresAt.toISOString(),
          expiresAt: session.expiresAt.toISOString(),
          rememberMe: session.rememberMe,
          ip: session.ip,
          userAgent: session.userAgent,
        })),
        knownNetworks: ownNetworks.map(({ network, lastUsedAt }) => ({ network, lastUsedAt: lastUsedAt.toISOString() })),
        events: ownEvents.map(presentEvent),
        mails: ownMails.map(({ id: mailId, kind, recipient, status, createdAt, settledAt }) => ({
          ...{ id: mailId, kind, recipient, status },
          createdAt: createdAt.toISOString(),
          settledAt: iso(settledAt),
        })),
      };
    },
    { isolationLevel: 'repeatable read' },
  );
}
