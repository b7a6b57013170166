import { and, asc, eq, gt } from 'drizzle-orm';
import type { Queryable } from '../db/database.ts';
import type { EventType, MailKind, MailStatus } from '../db/kinds.ts';
import { events, mails, sessions } from '../db/schema.ts';
import type { UserRow } from '../identity/users.ts';
import { type ManagedUser, presentManagedUser } from './schemas.ts';

/** One step of the story of an account. */
interface Step {
  readonly at: string;
  readonly what: EventType;
  readonly ip: string | null;
  readonly userAgent: string | null;
  readonly actorId: string | null;
}

/** What became of a mail. */
interface Delivery {
  readonly id: string;
  readonly kind: MailKind;
  readonly recipient: string;
  readonly status: MailStatus;
  readonly queuedAt: string;
  readonly attempts: number;
  /** When it was sent or given up; while it waits, when it is tried next. */
  readonly at: string;
  readonly lastError: string | null;
}

export interface Explanation {
  readonly user: ManagedUser;
  readonly confirmedAt: string | null;
  readonly disabledAt: string | null;
  readonly pendingEmail: string | null;
  readonly pendingEmailSince: string | null;
  readonly sessions: number;
  readonly steps: readonly Step[];
  readonly mails: readonly Delivery[];
}

const iso = (time: Date | null) => time?.toISOString() ?? null;

/** Gathers the whole story of an account for support, oldest first: what happened to it, and what became of its mails. */
export async function explainUser(db: Queryable, user: UserRow, now: Date): Promise<Explanation> {
  const steps = await db.select().from(events).where(eq(events.userId, user.id)).orderBy(asc(events.id));
  const deliveries = await db.select().from(mails).where(eq(mails.userId, user.id)).orderBy(asc(mails.id));
  return {
    user: presentManagedUser(user),
    confirmedAt: iso(user.confirmedAt),
    disabledAt: iso(user.disabledAt),
    pendingEmail: user.pendingEmail,
    pendingEmailSince: iso(user.pendingEmailSince),
    sessions: await db.$count(sessions, and(eq(sessions.userId, user.id), gt(sessions.idleExpiresAt, now))),
    steps: steps.map(({ at, type, ip, userAgent, actorId }) => ({ at: at.toISOString(), what: type, ip, userAgent, actorId })),
    mails: deliveries.map(({ id, kind, recipient, status, createdAt, attempts, settledAt, dueAt, lastError }) => ({
      ...{ id, kind, recipient, status, attempts, lastError },
      queuedAt: createdAt.toISOString(),
      at: (settledAt ?? dueAt).toISOString(),
    })),
  };
}
