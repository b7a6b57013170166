import { getTableName, is } from 'drizzle-orm';
import { PgTable } from 'drizzle-orm/pg-core';
import * as schema from '../db/schema.ts';
import { readNewestMigration } from '../db/schema-version.ts';
import type { DatabaseServer } from './database-server.ts';
import { type Finding, findingsAbout } from './finding.ts';

const { ok, warning, error } = findingsAbout('database');

const verbs = ['SELECT', 'INSERT', 'UPDATE', 'DELETE'];
const ourTables = Object.values(schema).flatMap((each) => (is(each, PgTable) ? [getTableName(each)] : []));

/** Whether the schema is the one that this program was made for, and the role may use it. */
export async function checkSchema(server: DatabaseServer): Promise<Finding[]> {
  const state = await readState(server);
  const denied = await findDenied(server);
  const usage = denied.length > 0 ? [tellDenied(denied, server)] : [ok('the role may use all tables')];
  return [...tellState(state), ...(await checkCreation(server, state)), ...(state === 'missing' ? [] : usage)];
}

type State = 'missing' | 'unreadable' | 'behind' | 'up to date' | 'ahead';

async function readState({ ask }: DatabaseServer): Promise<State> {
  const [journal] = await ask<{ isReadable: boolean }>(
    `select has_schema_privilege(n.oid, 'USAGE') and has_table_privilege(c.oid, 'SELECT') as "isReadable"
       from pg_class c join pg_namespace n on n.oid = c.relnamespace where n.nspname = 'drizzle' and c.relname = '__drizzle_migrations'`,
  );
  if (journal === undefined) return 'missing';
  if (!journal.isReadable) return 'unreadable';
  const [row] = await ask<{ newest: string | null }>('select max(created_at) as newest from drizzle.__drizzle_migrations');
  const [applied, needed] = [Number(row?.newest ?? 0), await readNewestMigration()];
  if (applied === 0) return 'missing';
  if (applied === needed) return 'up to date';
  return applied < needed ? 'behind' : 'ahead';
}

function tellState(state: State): Finding[] {
  if (state === 'up to date') return [ok('the schema is up to date')];
  if (state === 'missing') return [warning('there is no schema yet: it is made when the service starts', 'latchkey migrate')];
  if (state === 'behind')
    return [warning('the schema is older than this program: it is migrated when the service starts', 'latchkey migrate')];
  if (state === 'ahead') return [warning('the schema is newer than this program: a later version has been started on it')];
  return [];
}

interface Denied {
  readonly what: string;
  readonly kind: 'SCHEMA' | 'TABLE';
  readonly missing: string;
}

/** Asked of the catalogue, which everybody may read. */
async function findDenied({ ask }: DatabaseServer): Promise<Denied[]> {
  const schemas = await ask<Denied>(
    `select nspname as what, 'SCHEMA' as kind, 'USAGE' as missing from pg_namespace
      where nspname in ('public', 'drizzle') and not has_schema_privilege(oid, 'USAGE')`,
  );
  const onTables = await ask<Denied>(
    `select format('%I.%I', n.nspname, c.relname) as what, 'TABLE' as kind, verb as missing
       from pg_class c join pg_namespace n on n.oid = c.relnamespace, unnest($2::text[]) with ordinality as verbs (verb, place)
      where (n.nspname = 'public' and c.relname = any($1) or n.nspname = 'drizzle' and c.relname = '__drizzle_migrations' and verb = 'SELECT')
        and not has_table_privilege(c.oid, verb) order by place, what`,
    [ourTables, verbs],
  );
  return [...schemas, ...onTables];
}

/** All tables need the same, so that what is missing somewhere may be granted on each that lacks anything. */
function tellDenied(denied: readonly Denied[], { names: { role } }: DatabaseServer): Finding {
  const grants = (['SCHEMA', 'TABLE'] as const).flatMap((kind) => {
    const ofKind = denied.filter((each) => each.kind === kind);
    const unique = (member: 'what' | 'missing') => [...new Set(ofKind.map((each) => each[member]))].join(', ');
    return ofKind.length === 0 ? [] : [`GRANT ${unique('missing')} ON ${kind} ${unique('what')} TO ${role};`];
  });
  const names = [...new Set(denied.map(({ what }) => what))];
  return error(`the role ${role} may not use all of ${names.join(', ')}`, grants.join('\n'));
}

/** Only where there is something to create: a service whose schema is up to date needs none of it. */
async function checkCreation({ ask, names: { role, database } }: DatabaseServer, state: State): Promise<Finding[]> {
  if (state !== 'missing' && state !== 'behind') return [];
  const [row] = await ask<{ database: boolean; drizzle: boolean; public: boolean }>(
    `select has_database_privilege(current_database(), 'CREATE') as database,
       coalesce((select has_schema_privilege(oid, 'CREATE') from pg_namespace where nspname = 'drizzle'), true) as drizzle,
       coalesce((select has_schema_privilege(oid, 'CREATE') from pg_namespace where nspname = 'public'), false) as public`,
  );
  const places = [
    ...(row?.database ? [] : [`DATABASE ${database}`]),
    ...(row?.drizzle ? [] : ['SCHEMA drizzle']),
    ...(row?.public ? [] : ['SCHEMA public']),
  ];
  if (places.length === 0) return [];
  const mend = places.map((place) => `GRANT CREATE ON ${place} TO ${role};`).join('\n');
  return [error(`the role ${role} may not create schemas or tables, without which the service cannot migrate`, mend)];
}
