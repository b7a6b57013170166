import Bowser from 'bowser';
import { and, desc, eq, gt } from 'drizzle-orm';
import type { Queryable } from '../db/database.ts';
import { sessions } from '../db/schema.ts';
import type { FoundSession } from '../guard/find-session.ts';
import { endSessionsAs } from '../guard/log-out.ts';
import { maxUserAgentLength, type Origin } from '../identity/events.ts';
import { endOtherSessions, endSessionsById, type SessionRow } from '../identity/sessions.ts';
import { Problem } from '../problems/problem.ts';
import type { Services } from '../services.ts';
import type { SessionSummary } from './schemas.ts';

type Needs = Pick<Services, 'clock' | 'db' | 'revocations'>;

/** The live sessions of a user, the one used last first. */
export async function listSessions({ clock, db }: Needs, userId: string): Promise<SessionRow[]> {
  const now = clock.now();
  const isLive = and(eq(sessions.userId, userId), gt(sessions.expiresAt, now), gt(sessions.idleExpiresAt, now));
  return db.select().from(sessions).where(isLive).orderBy(desc(sessions.lastUsedAt), desc(sessions.id));
}

/**
 * Ends one session of a user.
 *
 * @throws Problem `not_found` when there is none with this id, or when it is somebody else's
 */
export async function endOwnSession(services: Needs, userId: string, sessionId: string, origin: Origin): Promise<void> {
  const end = (tx: Queryable) => endSessionsById(tx, userId, [sessionId], services.clock);
  const ended = await endSessionsAs(services, userId, 'session_ended', origin, end);
  if (ended.length === 0) throw new Problem('not_found');
}

/** Ends all sessions of a user but the current one. */
export async function endOwnOtherSessions(services: Needs, { id, userId }: FoundSession, origin: Origin): Promise<void> {
  await endSessionsAs(services, userId, 'sessions_ended', origin, (tx) => endOtherSessions(tx, userId, id, services.clock));
}

/** A session as its owner sees it: nothing of its tokens. */
export function presentSession(session: SessionRow, currentId: string): SessionSummary {
  return {
    id: session.id,
    createdAt: session.createdAt.toISOString(),
    lastUsedAt: session.lastUsedAt.toISOString(),
    expiresAt: session.expiresAt.toISOString(),
    userAgent: session.userAgent,
    device: deviceOf(session.userAgent),
    ip: session.ip,
    current: session.id === currentId,
  };
}

/** A user agent in words, such as `Firefox on Linux`; null when it is none that people would know. */
function deviceOf(userAgent: string | null): string | null {
  if (!userAgent) return null;
  const { browser, os } = Bowser.parse(userAgent);
  const words = [browser.name, os.name].filter((word) => word !== undefined && word !== '');
  // A name is what stands before a version, which can be nearly all of the user agent.
  return words.length === 0 ? null : words.join(' on ').slice(0, maxUserAgentLength);
}
