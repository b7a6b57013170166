import pg from 'pg';
import t, { type Test } from 'tap';
import { noPostgres, startCluster } from '../support/cluster.ts';
import { query } from '../support/database.ts';
import { confirmationToken, confirmedPerson, emailChangeToken, openSession, register, resetToken } from '../support/person.ts';
import { startService } from '../support/service.ts';

/** Tables that stay small however many people there are: settings, and a queue that is emptied within a second. */
const small = ['roles', 'signing_keys', 'reset_requests'];
/** So many that to read them all is never the shortest way to one of them. */
const many = 20_000;

interface Statement {
  readonly text: string;
  /** Of those that the server keeps, and may plan once for all values. */
  readonly name: string | undefined;
  readonly values: readonly unknown[];
}

/** Remembers each statement that this process sends from now on, with the values that it had the first time. */
function listen(t: Test): ReadonlyMap<string, Statement> {
  const statements = new Map<string, Statement>();
  const { prototype } = pg.Client as unknown as { prototype: { query(...args: unknown[]): unknown } };
  const { query: original } = prototype;
  prototype.query = function listened(...args) {
    const config = (typeof args[0] === 'string' ? { text: args[0] } : args[0]) as {
      text?: string;
      name?: string;
      values?: unknown[];
    };
    const values = Array.isArray(args[1]) ? args[1] : (config.values ?? []);
    if (config.text !== undefined && !statements.has(config.text))
      statements.set(config.text, { text: config.text, name: config.name, values });
    return original.apply(this, args);
  };
  t.teardown(() => {
    prototype.query = original;
  });
  return statements;
}

/** Fills the tables that grow with the users, as they are after years. */
async function fill(url: string): Promise<void> {
  const id = (group: string) => `('019a0000-${group}-7000-8000-' || lpad(to_hex(n), 12, '0'))::uuid`;
  const long = `now() - interval '1 year'`;
  const rows = `from generate_series(1, ${many}) n`;
  for (const statement of [
    `insert into users (id, email, email_canonical, username, username_canonical, password_hash, confirmed_at, created_at)
     select ${id('0001')}, n || '@old.example', n || '@old.example', 'old' || n, 'old' || n, 'none', ${long}, ${long} ${rows}`,
    `insert into sessions (id, user_id, created_at, last_used_at, idle_expires_at, expires_at, remember_me, client)
     select ${id('0002')}, ${id('0001')}, now(), now(), now() + interval '1 day', now() + interval '1 day', false, 'somewhere' ${rows}`,
    `insert into mails (id, user_id, kind, recipient, status, created_at, due_at, settled_at)
     select ${id('0003')}, ${id('0001')}, 'confirmation', n || '@old.example', 'sent', ${long}, ${long}, ${long} ${rows}`,
    `insert into events (id, user_id, type, at) select ${id('0004')}, ${id('0001')}, 'logged_in', ${long} ${rows}`,
    `insert into known_networks (user_id, network, last_used_at) select ${id('0001')}, 'somewhere', ${long} ${rows}`,
    `insert into revoked_sessions (session_id, revoked_at) select ${id('0005')}, ${long} ${rows}`,
    `insert into rate_limits (key, used, resets_at) select 'somebody ' || n, 1, ${long} ${rows}`,
    `insert into disowned_addresses (email_canonical, until) select n || '@old.example', ${long} ${rows}`,
    'vacuum analyze',
  ]) {
    await query(url, statement);
  }
}

t.test('what people do every day reads no table that grows with their number', { skip: noPostgres }, async (t) => {
  const cluster = await startCluster(t);
  const service = await startService(t, { DATABASE_URL: cluster.url });
  await fill(cluster.url);
  const statements = listen(t);

  const person = await confirmedPerson(service);
  const { accessToken: token, refreshToken } = await openSession(service, person);
  const answers = [
    await service.get('/auth/me', { token }),
    await service.get('/secret', { token }),
    await service.get('/auth/sessions', { token }),
    await service.get('/auth/events', { token }),
    await service.post('/auth/refresh', { refreshToken }),
    // A twin, of which it has to be found out.
    await service.post('/auth/refresh', { refreshToken }),
  ];
  const newcomer = await register(service);
  const { accessToken: unconfirmed } = await openSession(service, newcomer);
  const link = await confirmationToken(service, newcomer);
  answers.push(await service.get('/auth/unconfirmed', { token: unconfirmed }));
  answers.push(await service.get(`/auth/confirm/${link}`, { token: unconfirmed }));
  const reset = { token: await resetToken(service, newcomer), newPassword: 'another horse battery staple' };
  answers.push(await service.post('/auth/password/reset', reset));
  const change = await emailChangeToken(service, { ...person, token }, 'elsewhere@example.com');
  answers.push(await service.get(`/auth/email/confirm/${change}`, { token }));
  answers.push(await service.post('/auth/logout', undefined, { token }));
  t.strictSame(
    answers.map(({ status }) => status).filter((status) => status !== 200 && status !== 204),
    [],
  );

  const asked = [...statements.values()].filter(({ text }) => /^(?:select|insert|update|delete|with)\b/i.test(text.trim()));
  t.ok(asked.length > 30, `${asked.length} statements were listened to`);
  for (const { name, text, values } of asked) {
    const mode = name ? 'force_generic_plan' : 'auto';
    const { rows } = await query(`${cluster.url}?options=-c%20plan_cache_mode%3D${mode}`, `explain ${text}`, [...values]);
    const plan = rows.map((row) => row['QUERY PLAN']).join('\n');
    const read = [...plan.matchAll(/Seq Scan on (\w+)/g)].map(([, table]) => table).filter((table) => !small.includes(table ?? ''));
    t.strictSame(read, [], `${text}\n${plan}`);
  }
});
