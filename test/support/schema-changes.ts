import type { PGlite } from '@electric-sql/pglite';

type Row = Readonly<Record<string, string | null>>;

/** What a program that was made for a schema counts on. */
interface Schema {
  /** By table and name. */
  readonly columns: ReadonlyMap<string, Row>;
  /** Rules that a row must obey, as SQL, each with the table it is about. */
  readonly rules: ReadonlyMap<string, string>;
  readonly tables: ReadonlySet<string>;
}

const columnsQuery = `select table_name || '.' || column_name as name, table_name, data_type, udt_name, is_nullable, column_default
  from information_schema.columns where table_schema = 'public'`;
/** Whether a column may be null is told by the column. */
const rulesQuery = `select conrelid::regclass || ': ' || pg_get_constraintdef(oid) as rule, conrelid::regclass::text as table_name from pg_constraint
  where connamespace = 'public'::regnamespace and conrelid <> 0 and contype <> 'n'
  union select tablename || ': ' || regexp_replace(indexdef, ' INDEX \\S+', ''), tablename from pg_indexes
  where schemaname = 'public' and indexdef like 'CREATE UNIQUE%'`;

async function readSchema(engine: PGlite): Promise<Schema> {
  const columns = (await engine.query<Row>(columnsQuery)).rows;
  const rules = (await engine.query<Row>(rulesQuery)).rows;
  return {
    columns: new Map(columns.map((column) => [column['name'] as string, column])),
    rules: new Map(rules.map(({ rule, table_name }) => [rule as string, table_name as string])),
    tables: new Set(columns.map(({ table_name }) => table_name as string)),
  };
}

/** What a program that was made for the schema before would stumble over. */
function obstacles(before: Schema, after: Schema): string[] {
  const lost = [...before.columns.keys()].filter((name) => !after.columns.has(name)).map((name) => `${name} is gone`);
  const changed = [...before.columns].flatMap(([name, old]) => {
    const { data_type, udt_name, is_nullable, column_default } = after.columns.get(name) ?? old;
    const isOther = data_type !== old['data_type'] || udt_name !== old['udt_name'];
    const isStricter =
      is_nullable === 'NO' && (old['is_nullable'] === 'YES' || (column_default === null && old['column_default'] !== null));
    return isOther || isStricter ? [`${name} is another`] : [];
  });
  const demanded = [...after.columns].flatMap(([name, { table_name, is_nullable, column_default }]) => {
    const isNew = before.tables.has(table_name as string) && !before.columns.has(name);
    return isNew && is_nullable === 'NO' && column_default === null ? [`${name} has to be given`] : [];
  });
  const ruled = [...after.rules].flatMap(([rule, table]) =>
    before.tables.has(table) && !before.rules.has(rule) ? [`${rule} is new`] : [],
  );
  return [...lost, ...changed, ...demanded, ...ruled];
}

/**
 * Runs migrations one after the other, beginning with an empty schema.
 *
 * @param migrations SQL, the oldest first
 * @returns for each of them what a program that was made for the schema before it would stumble over
 */
export async function obstaclesOf(engine: PGlite, migrations: readonly string[]): Promise<string[][]> {
  await engine.exec('drop schema public cascade; create schema public');
  const found: string[][] = [];
  for (const migration of migrations) {
    const before = await readSchema(engine);
    await engine.exec(migration);
    found.push(obstacles(before, await readSchema(engine)));
  }
  return found;
}
