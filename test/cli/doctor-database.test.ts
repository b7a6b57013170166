import { join } from 'node:path';
import t, { type Test } from 'tap';
import { migrateServerDatabase } from '../../src/db/migrate-server.ts';
import { tellLatency, tellVersion } from '../../src/doctor/database-server.ts';
import { diagnose } from '../../src/doctor/diagnose.ts';
import { cert, key } from '../support/certificate.ts';
import { ManualClock } from '../support/clock.ts';
import { asPostgres, type Cluster, noPostgres, startCluster } from '../support/cluster.ts';
import { query } from '../support/database.ts';
import { examine, faultsIn, finds } from '../support/doctor.ts';
import { eventually } from '../support/eventually.ts';
import { noPgBouncer, startPgBouncer } from '../support/pgbouncer.ts';
import { freePort } from '../support/process.ts';
import { startProxy } from '../support/tcp-proxy.ts';

const development = { SMTP_URL: '' };
const look = (t: Test, url: string, more: Readonly<Record<string, string>> = {}) =>
  examine(t, { ...development, DATABASE_URL: url, ...more }, 'database');
/** On a machine with much to do, an answer may take longer than a server in the same room should need. */
const faults = async (...args: Parameters<typeof look>) =>
  faultsIn(await look(...args)).filter(({ what }) => !/^the server answers in/.test(what));

t.test('the doctor and a PostgreSQL server', { skip: noPostgres }, async (t) => {
  const cluster = await startCluster(t, 'fsync = on');
  const { url } = cluster;
  const as = (role: string, database = 'postgres') => `postgres://${role}@127.0.0.1:${cluster.port}/${database}`;

  await t.test('without a schema, which it does not make', async (t) => {
    finds(t, await faults(t, url), [{ level: 'warning', what: /no schema yet/, mend: 'latchkey migrate' }]);
    t.equal((await query(url, `select from pg_namespace where nspname = 'drizzle'`)).rowCount, 0);
    await query(url, 'create role guest login');
    finds(t, await faults(t, as('guest')), [
      { level: 'warning', what: /no schema yet/ },
      {
        level: 'error',
        what: /cannot migrate/,
        mend: 'GRANT CREATE ON DATABASE postgres TO guest;\nGRANT CREATE ON SCHEMA public TO guest;',
      },
    ]);
  });

  await migrateServerDatabase(url);

  await t.test('that has all it needs', async (t) => {
    const findings = await look(t, url);
    const whats = findings.map(({ what }) => what).join('\n');
    for (const what of [
      /^connected in \d+ ms$/m,
      /^PostgreSQL \d+\.\d+/m,
      /clocks agree/,
      /up to date/,
      /may use all tables/,
      /97 connections, each instance takes 11/,
    ]) {
      t.match(whats, what);
    }
    t.strictSame(await faults(t, url), []);
  });

  t.test('whose schema is another than that of this program', async (t) => {
    const journal = 'drizzle.__drizzle_migrations';
    await query(url, `insert into ${journal} (hash, created_at) values ('later', 9000000000000)`);
    finds(t, await faults(t, url), [{ level: 'warning', what: /newer than this program/ }]);
    await query(url, `delete from ${journal} where hash = 'later'`);
    const { rows } = await query(url, `delete from ${journal} where id = (select max(id) from ${journal}) returning hash, created_at`);
    finds(t, await faults(t, url), [{ level: 'warning', what: /older than this program/, mend: 'latchkey migrate' }]);
    await query(url, `insert into ${journal} (hash, created_at) values ($1, $2)`, [rows[0].hash, rows[0].created_at]);
    t.strictSame(await faults(t, url), []);
  });

  t.test('where the role lacks privileges, until it has run what mends it', async (t) => {
    await query(url, 'create role "Odd role" login');
    const odd = as('Odd%20role');
    await query(url, 'grant select, insert on users to "Odd role"');
    const found = await faults(t, odd);
    finds(t, found, [
      {
        level: 'error',
        what: /may not use all of drizzle, .*public\.users/,
        mend: /^GRANT USAGE ON SCHEMA drizzle TO "Odd role";\nGRANT SELECT, INSERT/,
      },
    ]);
    await t.rejects(migrateServerDatabase(odd), 'as the service would find out');
    for (const { mend = '' } of found) await query(url, mend);
    t.strictSame(await faults(t, odd), []);
    await migrateServerDatabase(odd);
    t.equal((await query(url, `select has_database_privilege('Odd role', current_database(), 'CREATE') as may`)).rows[0].may, false);
    await query(url, 'revoke update on sessions, mails from "Odd role"');
    finds(t, await faults(t, odd), [{ level: 'error', mend: 'GRANT UPDATE ON TABLE public.mails, public.sessions TO "Odd role";' }]);
  });

  t.test('that takes no writes, until it has run what mends it', async (t) => {
    await query(url, 'create database locked');
    await query(url, 'create role reader login superuser');
    await migrateServerDatabase(as('postgres', 'locked'));
    const cases = {
      'alter database locked set default_transaction_read_only = on': 'ALTER DATABASE locked RESET default_transaction_read_only;',
      'alter role reader set default_transaction_read_only = on': 'ALTER ROLE reader RESET default_transaction_read_only;',
      'alter role reader in database locked set default_transaction_read_only = on':
        'ALTER ROLE reader IN DATABASE locked RESET default_transaction_read_only;',
    };
    for (const [statement, mend] of Object.entries(cases)) {
      await query(url, statement);
      finds(t, await faults(t, as('reader', 'locked')), [{ level: 'error', what: /takes no writes/, mend }]);
      await query(url, mend);
      t.strictSame(await faults(t, as('reader', 'locked')), []);
    }
  });

  t.test('that forgets in a crash what it has acknowledged, until it has run what mends it', async (t) => {
    await query(url, 'create database forgetful');
    await query(url, 'create role hurried login superuser');
    const hurried = as('hurried', 'forgetful');
    await migrateServerDatabase(hurried);
    const cases = {
      'alter database forgetful set synchronous_commit = off': 'ALTER DATABASE forgetful RESET synchronous_commit;',
      'alter role hurried set synchronous_commit = off': 'ALTER ROLE hurried RESET synchronous_commit;',
    };
    for (const [statement, mend] of Object.entries(cases)) {
      await query(url, statement);
      finds(t, await faults(t, hurried), [{ level: 'error', what: /may undo .* \(synchronous_commit = off\)/, mend }]);
      await query(url, mend);
      t.strictSame(await faults(t, hurried), []);
    }
    await query(url, 'alter role all set synchronous_commit = off');
    finds(t, await faults(t, hurried), [{ level: 'error', mend: 'ALTER ROLE ALL RESET synchronous_commit;' }]);
    await query(url, 'alter role all reset synchronous_commit');
    const told = `${hurried}?options=-c%20synchronous_commit%3Doff`;
    finds(t, await faults(t, told), [{ level: 'error', mend: /^DATABASE_URL=.*options=-c%20synchronous_commit%3Don$/ }]);
    for (const name of ['fsync', 'full_page_writes']) {
      await query(url, `alter system set ${name} = off`);
      await query(url, 'select pg_reload_conf()');
      await eventually('it has read that', async () => (await faults(t, hurried)).length > 0);
      const mend = `ALTER SYSTEM SET ${name} = on;\nSELECT pg_reload_conf();`;
      finds(t, await faults(t, hurried), [{ level: 'warning', what: new RegExp(`${name} = off`), mend }]);
      for (const statement of mend.split('\n')) await query(url, statement);
      await eventually('that is mended', async () => (await faults(t, hurried)).length === 0);
    }
  });

  t.test('whose encoding does not hold every name', async (t) => {
    await query(url, `create database old encoding 'SQL_ASCII' locale 'C' template template0`);
    await migrateServerDatabase(as('postgres', 'old'));
    finds(t, await faults(t, as('postgres', 'old')), [
      { level: 'error', what: /SQL_ASCII/, mend: /^CREATE DATABASE latchkey_utf8 ENCODING 'UTF8'/ },
    ]);
  });

  t.test('whose clock disagrees with ours', async (t) => {
    const { offsetMs } = new ManualClock();
    const expected: [number, object[]][] = [
      [offsetMs, []],
      [-5, [{ level: 'warning', what: /\b[45]\.\d s behind/ }]],
      [60, [{ level: 'error', what: /\b(?:59|60)\.\d s ahead of/, mend: 'timedatectl set-ntp true' }]],
    ];
    for (const [seconds, found] of expected) {
      const clock = new ManualClock();
      clock.advance({ seconds });
      const findings = await diagnose({ DATABASE_URL: url }, clock);
      t.match(
        faultsIn(findings).filter(({ what }) => /^the clock/.test(what)),
        found,
      );
      t.equal(findings.filter(({ what }) => /clocks agree/.test(what)).length, found.length === 0 ? 1 : 0);
    }
  });

  t.test('that has fewer connections than an instance may take', async (t) => {
    finds(t, await faults(t, url, { DATABASE_POOL_SIZE: '97' }), [{ level: 'warning', mend: 'DATABASE_POOL_SIZE=96' }]);
    t.strictSame(await faults(t, url, { DATABASE_POOL_SIZE: '96' }), []);
    await query(url, 'create role crowd login superuser connection limit 5');
    finds(t, await faults(t, as('crowd')), [
      { level: 'warning', what: /takes? up to 11 connections, but there are 5/, mend: 'DATABASE_POOL_SIZE=4' },
    ]);
  });

  t.test('that does not answer everything, which keeps nothing else from being looked at', async (t) => {
    await query(url, 'create role stranger login');
    await query(url, 'create database closed owner stranger');
    const closed = as('stranger', 'closed');
    await migrateServerDatabase(closed);
    t.strictSame(await faults(t, closed), []);
    await query(as('postgres', 'closed'), 'revoke select on pg_roles from public');
    const findings = await look(t, closed);
    finds(t, faultsIn(findings), [{ level: 'error', what: 'a question was not answered: 42501' }]);
    t.match(findings.at(-1), { level: 'ok', what: 'the role may use all tables' });
    await query(url, 'alter role stranger connection limit 1');
    finds(t, await faults(t, closed), [{ level: 'error', what: 'could not be checked: 53300' }]);
  });

  t.test('that does not let anybody in', async (t) => {
    finds(t, await faults(t, as('postgres', 'no%22where')), [
      { level: 'error', mend: `CREATE DATABASE "no""where" ENCODING 'UTF8' TEMPLATE template0;` },
    ]);
    finds(t, await faults(t, as('nobody')), [{ level: 'error', what: /does not let|lets this user not in/ }]);
    finds(t, await faults(t, `postgres://postgres@127.0.0.1:${await freePort()}/postgres`), [
      { level: 'error', what: /ECONNREFUSED/, mend: /^DATABASE_URL=/ },
    ]);
    finds(t, await faults(t, `${url}?sslmode=verify-full`), [{ level: 'error', what: /speaks no TLS/, mend: /ALTER SYSTEM SET ssl = on/ }]);
    finds(t, await faults(t, `${url}?sslmode=verify-full&sslrootcert=/no/such/file`), [{ level: 'error', what: /ENOENT/ }]);
    const proxy = await startProxy(t, cluster.port);
    proxy.blackHole();
    finds(t, await faults(t, url.replace(String(cluster.port), String(proxy.port))), [
      { level: 'error', what: /cannot be reached: it took too long/ },
    ]);
  });

  t.test('that is reached over a network, as far as its name tells', async (t) => {
    const far = url.replace('127.0.0.1', '0.0.0.0');
    finds(t, await faults(t, far), [{ level: 'warning', what: /not encrypted/, mend: 'DATABASE_URL="$DATABASE_URL?sslmode=verify-full"' }]);
  });

  t.test('that looks for deadlocks too late, until it has run what mends it', async (t) => {
    await query(url, 'create database late');
    await query(url, 'create role late login superuser');
    const late = as('late', 'late');
    await migrateServerDatabase(late);
    const run = async (statements: string) => {
      for (const statement of statements.split('\n')) await query(url, statement);
    };
    const cases = {
      "alter system set deadlock_timeout = '2s'\nselect pg_reload_conf()": `ALTER SYSTEM SET deadlock_timeout = '1s';\nSELECT pg_reload_conf();`,
      "alter database late set deadlock_timeout = '2s'": 'ALTER DATABASE late RESET deadlock_timeout;',
      "alter role late set deadlock_timeout = '2s'": 'ALTER ROLE late RESET deadlock_timeout;',
      "alter role late in database late set deadlock_timeout = '2s'": 'ALTER ROLE late IN DATABASE late RESET deadlock_timeout;',
    };
    for (const [statements, mend] of Object.entries(cases)) {
      await run(statements);
      await eventually('it has read that', async () => (await faults(t, late)).length > 0);
      const what = /deadlocks are looked for after 2 s, but the wait for a lock ends after 1.2 s/;
      finds(t, await faults(t, late), [{ level: 'warning', what, mend }]);
      await run(mend);
      await eventually('that is mended', async () => (await faults(t, late)).length === 0);
    }
    const mend = /^DATABASE_URL=.*options=-c%20deadlock_timeout%3D1s$/;
    finds(t, await faults(t, `${late}?options=-c%20deadlock_timeout%3D2s`), [{ level: 'warning', mend }]);
  });

  t.test('behind a pooler', { skip: noPgBouncer }, async (t) => {
    await query(url, `create database pooled`);
    const pooler = await startPgBouncer(t, cluster);
    const found = await faults(t, pooler);
    finds(t, found, [{ level: 'warning', what: /no statement_timeout, lock_timeout, idle_in_transaction_session_timeout/ }]);
    const mend = found[0]?.mend ?? '';
    t.equal(mend.split('\n')[0], `ALTER ROLE postgres SET statement_timeout = '3s';`);
    await query(url, mend);
    // No longer than deadlocks are looked for by default.
    await query(url, `alter role postgres set lock_timeout = '1s'`);
    const short = await faults(t, await startPgBouncer(t, cluster));
    finds(t, short, [{ level: 'warning', what: /after 1 s, but .* after 1 s/, mend: `ALTER ROLE postgres SET lock_timeout = '1.2s';` }]);
    await query(url, short[0]?.mend ?? '');
    // The pooler's connection to the server was made before.
    await query(url, 'select pg_terminate_backend(pid) from pg_stat_activity where pid <> pg_backend_pid()');
    t.strictSame(await faults(t, await startPgBouncer(t, cluster)), []);
  });

  t.test('that wants a password', async (t) => {
    await query(url, `create role guarded login superuser password 'the right one'`);
    const rules = join(cluster.directory, 'data', 'pg_hba.conf');
    asPostgres(
      'sh',
      '-c',
      'printf "host all guarded 127.0.0.1/32 scram-sha-256\\n%s\\n" "$(cat "$1")" > "$1.new" && mv "$1.new" "$1"',
      'sh',
      rules,
    );
    cluster.stop();
    cluster.start();
    const at = (password: string) => `postgres://guarded:${password}@127.0.0.1:${cluster.port}/postgres`;
    finds(t, await faults(t, at('c4n4ry')), [{ level: 'error', what: 'the server refuses the user or the password' }]);
    t.notMatch(JSON.stringify(await look(t, at('c4n4ry'))), /c4n4ry/);
    t.strictSame(await faults(t, at('the%20right%20one')), []);
  });

  t.test('with a certificate', async (t) => {
    await speakTls(cluster);
    const authority = encodeURIComponent(join(t.testdir({ 'ca.pem': cert }), 'ca.pem'));
    const at = (host: string, parameters: string) => `postgres://postgres@${host}:${cluster.port}/postgres?${parameters}`;
    const verified = await look(t, at('localhost', `sslmode=verify-full&sslrootcert=${authority}`));
    t.match(verified.map(({ what }) => what).join('\n'), /encrypted \(TLSv1\.3\)/);
    t.strictSame(await faults(t, at('localhost', `sslmode=verify-full&sslrootcert=${authority}`)), []);
    finds(t, await faults(t, at('localhost', 'sslmode=verify-full')), [
      { level: 'error', what: /DEPTH_ZERO_SELF_SIGNED_CERT/, mend: 'DATABASE_URL="$DATABASE_URL&sslrootcert=/PATH/ca.pem"' },
    ]);
    finds(t, await faults(t, at('127.0.0.1', `sslmode=verify-full&sslrootcert=${authority}`)), [{ level: 'error', what: /another name/ }]);
    finds(t, await faults(t, at('0.0.0.0', 'sslmode=no-verify')), [
      { level: 'warning', what: /nobody checks/, mend: /sslmode=verify-full$/ },
    ]);
  });

  t.test('that is a standby', async (t) => {
    cluster.stop();
    asPostgres('touch', join(cluster.directory, 'data', 'standby.signal'));
    cluster.start();
    finds(t, await faults(t, url), [{ level: 'error', what: /standby/ }]);
  });
});

async function speakTls(cluster: Cluster): Promise<void> {
  for (const [name, content] of Object.entries({ cert, key })) {
    asPostgres('sh', '-c', `umask 077; printf '%s' "$1" > "$2"`, 'sh', content, `${cluster.directory}/${name}.pem`);
  }
  cluster.stop();
  await cluster.configure(`ssl = on\nssl_cert_file = '${cluster.directory}/cert.pem'\nssl_key_file = '${cluster.directory}/key.pem'`);
  cluster.start();
}

t.test('what is judged by a number', async (t) => {
  t.match([130_022, 140_000, 150_004, 170_002].map(tellVersion), [
    { level: 'error', what: /13\.22 is too old: 14/ },
    { level: 'ok', what: 'PostgreSQL 14.0 (tested with 15)' },
    { level: 'ok', what: 'PostgreSQL 15.4' },
    { level: 'ok', what: 'PostgreSQL 17.2 (tested with 15)' },
  ]);
  t.match(
    [5, 5.1, 100, 100.1].map(tellLatency),
    ['ok', 'warning', 'warning', 'error'].map((level) => ({ level })),
  );
});

t.test('without DATABASE_URL, there is nothing to connect to', async (t) => {
  t.match(await examine(t, { DATA_DIR: '/no/such/directory' }, 'database'), [
    { level: 'ok', what: /embedded database in \/no\/such\/directory/ },
  ]);
});
