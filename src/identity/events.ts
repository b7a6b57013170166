import { and, asc, desc, eq, gt, inArray, lt, lte, type Placeholder, type SQLWrapper, type Subquery, sql } from 'drizzle-orm';
import { v7 as timeOrderedUuid } from 'uuid';
import type { Clock } from '../clock.ts';
import type { Queryable } from '../db/database.ts';
import type { EventType } from '../db/kinds.ts';
import { prepared } from '../db/prepared.ts';
import { events, maxIpLength, users } from '../db/schema.ts';

/** Where a request came from, as the owner of an account will be shown it. */
export interface Origin {
  readonly ip: string;
  readonly userAgent: string | undefined;
}

/**
 * On whose account something happened: a request from somewhere, an administrator, or the service by itself.
 *
 * An administrator's own network and device are nothing that the owner of an account needs to see.
 */
export type Agent = Origin | { readonly actorId: string } | undefined;

export type EventRow = typeof events.$inferSelect;

/** User agents are shown, never acted upon: what is longer is of no use to anybody. */
export const maxUserAgentLength = 512;

/** An origin in the form of the columns that keep it. */
export function originColumns({ ip, userAgent }: Origin): { ip: string; userAgent: string | null } {
  return { ip: ip.slice(0, maxIpLength), userAgent: userAgent?.slice(0, maxUserAgentLength) ?? null };
}

/** Something that happened to an account. */
export interface Happening {
  readonly userId: string;
  readonly type: EventType;
  readonly at: Date;
  readonly agent: Agent;
}

/** The same, told apart from all others: recorded once only, however often that is tried. */
export interface NotedHappening extends Happening {
  readonly id: string;
}

/** @param order of those within the same millisecond */
export function noted(happening: Happening, order = 0): NotedHappening {
  return { ...happening, id: timeOrderedUuid({ msecs: happening.at.getTime(), seq: order }) };
}

/**
 * Records what happened to an account, inside the transaction of what it tells.
 *
 * @param types in the order in which it happened
 */
export async function recordEvents(tx: Queryable, userId: string, types: readonly EventType[], agent: Agent, clock: Clock): Promise<void> {
  const at = clock.now();
  if (types.length > 0)
    await insertEvents(
      tx,
      types.map((type, order) => noted({ userId, type, at, agent }, order)),
    );
}

/** {@link recordEvents}, for one. */
export function recordEvent(tx: Queryable, userId: string, type: EventType, agent: Agent, clock: Clock): Promise<void> {
  return recordEvents(tx, userId, [type], agent, clock);
}

/** Records what happened outside any transaction; what concerns an account that has gone since then is left out. */
export async function recordHappenings(db: Queryable, happenings: readonly NotedHappening[]): Promise<void> {
  await db.transaction(async (tx) => {
    const ids = [...new Set(happenings.map(({ userId }) => userId))];
    const rows = await tx.select({ id: users.id }).from(users).where(inArray(users.id, ids)).orderBy(users.id).for('key share');
    const existing = new Set(rows.map(({ id }) => id));
    const concerned = happenings.filter(({ userId }) => existing.has(userId));
    if (concerned.length > 0) await insertEvents(tx, concerned);
  });
}

export const eventColumns = ['id', 'userId', 'type', 'at', 'ip', 'userAgent', 'actorId'] as const;
const newEvent = prepared('new_event', eventColumns, (db, row) => db.insert(events).values(row).onConflictDoNothing());

async function insertEvents(tx: Queryable, happenings: readonly NotedHappening[]): Promise<void> {
  const [first, ...others] = happenings.map(eventColumnsOf);
  if (first === undefined) return;
  if (others.length === 0) await newEvent(tx, first);
  else
    await tx
      .insert(events)
      .values([first, ...others])
      .onConflictDoNothing();
}

/**
 * Records something for each row of another part of the same statement: both or nothing.
 *
 * @param rows of accounts to which it happened, by `userId`
 */
export function recordedWith(
  db: Queryable,
  { rows, userId }: { readonly rows: Subquery; readonly userId: SQLWrapper },
  { id, type, at, ip, userAgent, actorId }: Readonly<Record<Exclude<(typeof eventColumns)[number], 'userId'>, Placeholder>>,
) {
  const columns = sql`${id}::uuid, ${userId}, ${type}::text, ${at}::timestamptz, ${ip}::text, ${userAgent}::text, ${actorId}::uuid`;
  return db.$with('recorded').as(db.insert(events).select(sql`select ${columns} from ${rows}`).returning());
}

/** What happened, in the form of the columns that keep it. */
export function eventColumnsOf({ agent, ...columns }: NotedHappening): EventRow {
  return { ...columns, ...agentColumns(agent) };
}

function agentColumns(agent: Agent): Pick<EventRow, 'ip' | 'userAgent' | 'actorId'> {
  const nobody = { ip: null, userAgent: null, actorId: null };
  if (agent === undefined) return nobody;
  return { ...nobody, ...('actorId' in agent ? { actorId: agent.actorId } : originColumns(agent)) };
}

interface EventQuery {
  readonly limit: number;
  /** The id of the last event of the page before. */
  readonly before?: string | undefined;
}

/** What happened to an account, newest first. */
export async function findEvents(db: Queryable, userId: string, { limit, before }: EventQuery): Promise<EventRow[]> {
  const beyond = before === undefined ? undefined : lt(events.id, before);
  return db
    .select()
    .from(events)
    .where(and(eq(events.userId, userId), beyond))
    .orderBy(desc(events.id))
    .limit(limit);
}

interface EventSpan {
  readonly limit: number;
  /** The id of the last event of the page before. */
  readonly after: string | undefined;
  /** The id of the last event of all. */
  readonly last: string;
}

/** What happened to an account up to some event, oldest first. */
export async function findEventsBetween(db: Queryable, userId: string, { limit, after, last }: EventSpan): Promise<EventRow[]> {
  const beyond = after === undefined ? undefined : gt(events.id, after);
  return db
    .select()
    .from(events)
    .where(and(eq(events.userId, userId), beyond, lte(events.id, last)))
    .orderBy(asc(events.id))
    .limit(limit);
}
