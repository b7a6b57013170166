import { sql } from 'drizzle-orm';
import prom from 'prom-client';
import t from 'tap';
import { measureQueue } from '../../src/mail/queue-status.ts';
import { createRegistry } from '../../src/operations/registry.ts';
import { eventually } from '../support/eventually.ts';
import { confirmedPerson } from '../support/person.ts';
import { startService } from '../support/service.ts';
import { watchStatements } from '../support/statements.ts';

t.test('a scrape asks the database once, and of the mails reads those alone that wait or have failed', async (t) => {
  const service = await startService(t);
  const { services } = service.app;
  const { id } = await confirmedPerson(service);
  await eventually('its mail is settled', async () => (await measureQueue(services.db)).queued === 0);
  const [now, later] = [0, 3600].map((seconds) => new Date(service.clock.now().getTime() + seconds * 1000).toISOString());
  await services.db.execute(sql`insert into mails (id, user_id, kind, recipient, status, created_at, due_at, settled_at)
    select gen_random_uuid(), ${id}, 'confirmation', 'a@example.com', case when number % 1000 = 0 then 'failed' else 'sent' end,
      ${now}::timestamptz, ${now}::timestamptz, ${now}::timestamptz from generate_series(1, 20000) as number`);
  await services.db.execute(sql`insert into mails (id, user_id, kind, recipient, created_at, due_at)
    select gen_random_uuid(), ${id}, 'confirmation', 'a@example.com', ${now}::timestamptz - interval '1 minute' * number, ${later}::timestamptz
    from generate_series(1, 3) as number`);
  await services.db.execute(sql`analyze mails`);

  const { registry } = createRegistry(prom, services);
  const { result, statements } = await watchStatements(services.db)(() => registry.metrics());
  t.match(result, /^latchkey_mail_queued 3$/m);
  t.match(result, /^latchkey_mail_failed 20$/m);
  t.match(result, /^latchkey_mail_oldest_queued_seconds 1[89]\d/m);
  t.equal(statements.length, 1);
  const statement = statements[0]?.replace('$1', `'queued'`).replace('$2', `'failed'`);
  const { rows } = (await services.db.execute(sql.raw(`explain (costs off) ${statement}`))) as unknown as {
    rows: Record<string, string>[];
  };
  const plan = rows.map((row) => row['QUERY PLAN']).join('\n');
  for (const index of ['mails_due_at_idx', 'mails_failed_idx']) t.match(plan, index);
  t.notMatch(plan, /Seq Scan/, plan);
});
