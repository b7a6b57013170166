import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { PGlite } from '@electric-sql/pglite';
import t from 'tap';
import { migrationsFolder } from '../../src/db/migrations-folder.ts';
import { obstaclesOf } from '../support/schema-changes.ts';

/** There is no release before this one, so nobody runs what came before it. */
const firstReleased = '0004_limits';
/** Begins the SQL of a migration that takes away what no version uses any more which may still be running. */
const contraction = /^-- contract: \S/;

const engine = await PGlite.create();
t.teardown(() => engine.close());

t.test('the version before can go on while the schema is that of the next', async (t) => {
  const journal = JSON.parse(await readFile(join(migrationsFolder, 'meta', '_journal.json'), 'utf8')) as { entries: { tag: string }[] };
  const tags = journal.entries.map(({ tag }) => tag);
  const migrations = await Promise.all(tags.map((tag) => readFile(join(migrationsFolder, `${tag}.sql`), 'utf8')));
  const obstacles = await obstaclesOf(engine, migrations);
  t.ok(tags.includes(firstReleased));
  t.strictSame(obstacles[0], [], 'nothing is in the way before there is anything');
  t.strictSame(obstacles[tags.indexOf('0003_drop_mail_parameters')], ['mails.parameters is gone'], 'what is in the way is seen');
  for (const [index, tag] of tags.entries()) {
    if (index <= tags.indexOf(firstReleased) || contraction.test(migrations[index] as string)) continue;
    t.strictSame(obstacles[index], [], tag);
  }
});

t.test('what would be in its way', async (t) => {
  const table = `create table people (id int primary key, name text not null default '', age int)`;
  const inTheWay: Readonly<Record<string, readonly string[]>> = {
    'alter table people drop column age': ['people.age is gone'],
    'alter table people rename column age to years': ['people.age is gone'],
    'alter table people alter age type bigint': ['people.age is another'],
    'alter table people alter age set not null': ['people.age is another'],
    'alter table people alter name drop default': ['people.name is another'],
    'alter table people add home text not null': ['people.home has to be given'],
    'create unique index on people (name)': ['people: CREATE UNIQUE ON public.people USING btree (name) is new'],
    'alter table people add check (age > 0)': ['people: CHECK ((age > 0)) is new'],
    'drop table people': ['people.id is gone', 'people.name is gone', 'people.age is gone'],
  };
  const not = [
    'alter table people add home text',
    `alter table people add home text not null default ''`,
    'create index on people (name)',
    'alter table people alter name drop not null',
    'create table pets (id int primary key, owner int not null references people)',
  ];
  for (const [change, obstacles] of Object.entries(inTheWay))
    t.strictSame((await obstaclesOf(engine, [table, change]))[1], obstacles, change);
  for (const change of not) t.strictSame((await obstaclesOf(engine, [table, change]))[1], [], change);
});
