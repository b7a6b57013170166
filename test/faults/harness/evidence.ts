import type { Entry } from './history.ts';
import type { Injected } from './nemesis.ts';
import type { Server } from './server.ts';
import type { Copy } from './sink.ts';

export interface Account {
  readonly email: string;
  readonly username: string;
  readonly confirmed: boolean;
  /** How often its password was reset. */
  readonly resets: number;
}

/** All that the checker judges by. */
export interface Evidence {
  readonly history: readonly Entry[];
  readonly accounts: readonly Account[];
  /** The ids of all mails that were ever queued. */
  readonly mailIds: ReadonlySet<string>;
  readonly copies: readonly Copy[];
  /** Addresses that the sink refuses for good. */
  readonly refused: ReadonlySet<string>;
  readonly faults: readonly Pick<Injected, 'kind' | 'from' | 'to'>[];
  /** When instances ended, whatever of. */
  readonly deaths: readonly number[];
}

/** Reads what the database has kept: before anything is old enough to be purged. */
export async function readTables({ query }: Pick<Server, 'query'>): Promise<Pick<Evidence, 'accounts' | 'mailIds'>> {
  const accounts = await query(`
    select email, username, confirmed_at is not null as confirmed, (select count(*)::int from events where user_id = users.id and type = 'password_reset') as resets
    from users`);
  const rows = await query('select id from mails');
  return { accounts: accounts as unknown as Account[], mailIds: new Set(rows.map(({ id }) => String(id))) };
}

/** How many mails, and requests for mails, there are still to work on. */
export async function countUnsettled({ query }: Pick<Server, 'query'>): Promise<number> {
  const [row] = await query(`
    select (select count(*) from mails where status = 'queued')::int + (select count(*) from reset_requests)::int as left_over`);
  return Number(row?.['left_over']);
}
